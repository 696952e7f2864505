//! Compiles where the standard library has `std::iter::repeat_n` (Rust 1.82).

/// Uses what is asked for.
pub fn probe() -> impl Iterator<Item = char> {
    std::iter::repeat_n(' ', 3)
}
