//! Where and when this program was built, as `build.rs` found it.

/// The short hash of the commit, or `unknown`.
pub const REVISION: &str = env!("STAMP_REVISION");

/// Seconds since 1970 in decimal digits; `0` where the build was not told a date.
pub const SECONDS: &str = env!("STAMP_SECONDS");

/// The release channel, `dev` by default.
pub const CHANNEL: &str = env!("STAMP_CHANNEL");

/// All three in a line.
#[must_use]
pub fn line() -> String {
    format!("revision {REVISION}, date {SECONDS}, channel {CHANNEL}")
}
