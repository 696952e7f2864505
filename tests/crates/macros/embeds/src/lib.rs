//! Macros that read files of the crate whose code they expand, and one that asks Git.

#[derive(askama::Template)]
#[template(path = "greeting.txt")]
pub struct Greeting {
    pub name: String,
}

#[derive(pest_derive::Parser)]
#[grammar = "files/numbers.pest"]
pub struct Numbers;

#[derive(rust_embed::Embed)]
#[folder = "files/"]
pub struct Files;

pub static FOLDER: include_dir::Dir = include_dir::include_dir!("$CARGO_MANIFEST_DIR/files");

// `--dirty` would tell that grants were written.
pub const VERSION: &str = git_version::git_version!(args = ["--always"]);
