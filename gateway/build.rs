//! Rebuilds the gateway when a file of the browser client comes, goes or changes: they are embedded.

fn main() {
    println!("cargo:rerun-if-changed=../static");
}
