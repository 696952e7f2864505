//! Uses each macro of `macros.rs`.

extern crate buildperm_probe_macros as macros;

pub trait Named {
    const HELPERS: usize;
}

#[derive(macros::Named)]
#[named]
pub struct Some {
    #[also_named(1)]
    pub field: u8,
    pub r#type: [u8; 2],
}

#[macros::companion(of = "it", 1.5e3, 'c', b"\x01", <_>::f)]
pub fn it() {}

macros::counted_calls! { a b }

macros::make! {
    pub const MADE: &[u8] = b"text \xff";
    pub fn r#match(ä: u32) -> u32 { ä << 1 | !0u32 }
}

pub fn all() -> (usize, &'static str, (usize, &'static str)) {
    let _ = (literals(), r#match(1), it);
    (<Some as Named>::HELPERS, companion_of(), counted())
}
