//! Checksums, computed by the C library that `build.rs` compiles.

extern "C" {
    fn checksum_crc32(bytes: *const u8, length: usize) -> u32;
}

/// The CRC-32 of `bytes`, as in gzip and PNG.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    // SAFETY: the function reads `length` bytes from the pointer and keeps neither.
    unsafe { checksum_crc32(bytes.as_ptr(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_standard_comes_out() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
    }
}
