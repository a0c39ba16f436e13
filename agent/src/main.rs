//! The one binary of Tamga.
fn main() {}
