//! Macros within macros, each of which says which process it is expanded in.
#![feature(proc_macro_expand)]
extern crate proc_macro;
use proc_macro::TokenStream;

#[proc_macro]
pub fn process(_: TokenStream) -> TokenStream {
    std::process::id().to_string().parse().unwrap()
}

#[proc_macro]
pub fn outer(input: TokenStream) -> TokenStream {
    let inner = input.expand_expr().expect("what is within");
    format!("({}, {inner})", std::process::id()).parse().unwrap()
}

/// Expands itself again and again.
#[proc_macro]
pub fn endless(input: TokenStream) -> TokenStream {
    format!("macros::endless!{{{input}}}").parse::<TokenStream>().unwrap().expand_expr().unwrap()
}
