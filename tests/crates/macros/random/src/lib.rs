//! A macro that makes something else each time.

pub const NUMBER: u64 = const_random::const_random!(u64);
