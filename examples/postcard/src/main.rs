//! Writes a postcard: the program that needs all the other crates of this workspace.

use messages::{Greeting, Message};

fn main() {
    let greeting = Greeting {
        recipient: "whoever builds this".to_string(),
        sender: "the example workspace".to_string(),
    };
    let line = greeting.encode();
    let rule: String = compat::repeat("- ", 24).collect();
    let checksum = format!("{:08x}", checksum::crc32(line.as_bytes()));

    println!("{rule}\n{line}\n{rule}");
    println!(
        "{}",
        left_padding::pad(&stamp::line(), rule.trim_end().len())
    );
    println!("checksum {checksum}");
}
