# Owns: which programs of Debian the tests need, and how a missing one is installed.
# Promises: touches nothing that is there already; says the exact command where it may not run it.
# Never: starts a database server of the machine's own (the tests start private ones).

# Each line: what to install, and how to see that it is not needed.
missing_debian_packages() {
  command -v cc >/dev/null || echo build-essential
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
  command -v chromium >/dev/null || echo chromium
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
  command -v strace >/dev/null || echo strace
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

# Debian's postgresql makes and starts a cluster when it is installed, unless this file says otherwise.
write_createcluster() {
  local file=/etc/postgresql-common/createcluster.conf
  [ -e "$file" ] || { mkdir -p "$(dirname "$file")" && echo 'create_main_cluster = false' >"$file"; }
}

install_debian_packages() {
  local missing
  missing=$(missing_debian_packages | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  local script="set -e; $(declare -f write_createcluster); write_createcluster; apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold $missing"
  echo "missing: $missing" >&2
  if [ "$(id -u)" = 0 ]; then
    bash -c "$script" </dev/null >&2
  elif sudo -n true 2>/dev/null; then
    sudo -n bash -c "$script" </dev/null >&2
  else
    echo "the tests need packages of Debian; run this as root, then again deploy/test:" >&2
    echo "  mkdir -p /etc/postgresql-common && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends $missing" >&2
    return 1
  fi
  hash -r
  missing=$(missing_debian_packages | tr '\n' ' ')
  [ -z "$missing" ] || { echo "installed, and yet not found: $missing" >&2; return 1; }
}
