//! The migrations are part of the binary: a new file must rebuild it.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
    println!("cargo::rerun-if-changed=build.rs");
}
