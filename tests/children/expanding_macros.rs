//! Macros that do what macros do, and a few that go wrong.
extern crate proc_macro;
use proc_macro::{TokenStream, TokenTree};

#[proc_macro_derive(Twice, attributes(twice))]
pub fn twice(input: TokenStream) -> TokenStream {
    let name = input.into_iter().skip_while(|tree| tree.to_string() != "struct").nth(1).unwrap();
    format!("impl {name} {{ pub const TWICE: &'static str = \"{name}{name}\"; }}").parse().unwrap()
}

#[proc_macro_attribute]
pub fn twin(arguments: TokenStream, item: TokenStream) -> TokenStream {
    format!("pub const {arguments}: usize = {}; {item}", item.to_string().len()).parse().unwrap()
}

#[proc_macro]
pub fn reversed(input: TokenStream) -> TokenStream {
    input.into_iter().collect::<Vec<TokenTree>>().into_iter().rev().collect()
}

#[proc_macro]
pub fn process(_: TokenStream) -> TokenStream {
    std::process::id().to_string().parse().unwrap()
}

#[proc_macro]
pub fn variable(input: TokenStream) -> TokenStream {
    format!("{:?}", std::env::var(input.to_string()).unwrap_or_default()).parse().unwrap()
}

#[proc_macro]
pub fn long(input: TokenStream) -> TokenStream {
    let size: usize = input.to_string().parse().unwrap();
    format!("{:?}", "x".repeat(size)).parse().unwrap()
}

#[proc_macro]
pub fn nothing(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

#[proc_macro]
pub fn deep(input: TokenStream) -> TokenStream {
    fn descend(levels: usize) -> usize {
        let on_stack = std::hint::black_box([levels; 128]);
        if levels == 0 { 0 } else { on_stack[7] - levels + 1 + descend(levels - 1) }
    }
    descend(input.to_string().parse().unwrap()).to_string().parse().unwrap()
}

#[proc_macro]
pub fn panics(input: TokenStream) -> TokenStream {
    panic!("told to: {input}")
}

#[proc_macro]
pub fn exits(_: TokenStream) -> TokenStream {
    std::process::exit(0)
}

#[proc_macro]
pub fn aborts(_: TokenStream) -> TokenStream {
    std::process::abort()
}
