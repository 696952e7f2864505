//! Newer parts of the standard library, with a fallback for older compilers.

/// `text`, `count` times.
#[cfg(has_repeat_n)]
#[allow(clippy::incompatible_msrv)] // The build script has made sure that it is there.
pub fn repeat(text: &str, count: usize) -> impl Iterator<Item = &str> {
    std::iter::repeat_n(text, count)
}

/// `text`, `count` times.
#[cfg(not(has_repeat_n))]
pub fn repeat(text: &str, count: usize) -> impl Iterator<Item = &str> {
    std::iter::repeat(text).take(count)
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_is_repeated_as_often_as_asked() {
        assert_eq!(super::repeat("ab", 3).collect::<String>(), "ababab");
    }
}
