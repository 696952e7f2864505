//! Reads what it is told to read, as its compiler reads.
pub const READ: Option<&str> = option_env!("WITHHELD_ONE");
pub const OTHER: Option<&str> = option_env!("WITHHELD_NOT");
pub const BYTES: &[u8] = include_bytes!("__FILE__");
