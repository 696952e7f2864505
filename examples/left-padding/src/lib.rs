//! Pads text on the left.
//!
//! Look at `build.rs`, which nobody does.

/// Puts spaces before `text` until it is `width` characters wide.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_is_moved_to_the_right() {
        assert_eq!(super::pad("ok", 5), "   ok");
    }
}
