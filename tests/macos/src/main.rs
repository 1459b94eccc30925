//! A small macOS for the tests.
fn main() {}
