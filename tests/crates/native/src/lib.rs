//! Uses nothing: it only has to make Cargo run the build scripts of its dependencies.
