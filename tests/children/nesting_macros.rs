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

/// Makes and drops streams before, while and after others are expanded within.
#[proc_macro]
pub fn weaves(input: TokenStream) -> TokenStream {
    let kept = vec![input.clone(), input.clone()];
    let mut all = input.clone();
    all.extend(kept.clone());
    let inner = input.expand_expr();
    all.extend(kept);
    let said = inner.map(|stream| stream.clone().to_string()).unwrap_or_default();
    let size = all.to_string().len();
    drop(all);
    format!("({size} + {} + {})", said.len(), if said.is_empty() { "0" } else { &said }).parse().unwrap()
}

/// Expands to a number, by way of streams.
#[proc_macro]
pub fn number(input: TokenStream) -> TokenStream {
    let many: Vec<TokenStream> = (0..50).map(|_| input.clone()).collect();
    let whole: TokenStream = many.into_iter().collect();
    whole.into_iter().count().to_string().parse().unwrap()
}
