//! Macros of each kind, which use what macros use: what they make is compared with and without the shim.

extern crate proc_macro;

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// A literal of each kind, groups of each kind, and punctuation that belongs together.
#[proc_macro]
pub fn make(input: TokenStream) -> TokenStream {
    let literals: Vec<Literal> = vec![
        Literal::string("a \"quoted\" \u{e9}\u{1f980}\n"),
        Literal::byte_string(b"bytes \x00\xff"),
        Literal::character('\''),
        Literal::u8_suffixed(7),
        Literal::i64_unsuffixed(-9),
        Literal::f64_suffixed(1.5),
        Literal::usize_unsuffixed(123_456_789),
    ];
    let mut inner = TokenStream::new();
    for literal in literals {
        inner.extend(vec![
            TokenTree::Literal(literal),
            TokenTree::Punct(Punct::new(',', Spacing::Alone)),
        ]);
    }
    let count = input.clone().into_iter().count();
    let text = input.to_string();
    let mut made: TokenStream = format!(
        "pub fn counted() -> (usize, &'static str) {{ ({}, {:?}) }} pub fn literals() -> impl Sized ",
        count, text
    )
    .parse()
    .unwrap();
    let tuple = Group::new(Delimiter::Parenthesis, inner);
    let body = Group::new(Delimiter::Brace, TokenTree::Group(tuple).into());
    made.extend(vec![TokenTree::Group(body)]);
    made.extend(input);
    made
}

/// Gives the item a companion that says how it was called.
#[proc_macro_attribute]
pub fn companion(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let name = Ident::new("companion_of", Span::call_site());
    let mut made: TokenStream = "pub fn".parse().unwrap();
    let text = format!("() -> &'static str {{ {:?} }}", arguments.to_string());
    made.extend(vec![TokenTree::Ident(name)]);
    made.extend(text.parse::<TokenStream>().unwrap());
    made.extend(item);
    made
}

/// Implements `Named`, and counts how often the helper attributes stand in it.
#[proc_macro_derive(Named, attributes(named, also_named))]
pub fn named(input: TokenStream) -> TokenStream {
    fn count(stream: TokenStream) -> usize {
        stream
            .into_iter()
            .map(|tree| match tree {
                TokenTree::Group(group) => count(group.stream()),
                TokenTree::Ident(ident) => ident.to_string().ends_with("named") as usize,
                _ => 0,
            })
            .sum()
    }
    let name = input.clone().into_iter().skip_while(|tree| tree.to_string() != "struct").nth(1);
    format!(
        "impl Named for {} {{ const HELPERS: usize = {}; }}",
        name.unwrap(),
        count(input)
    )
    .parse()
    .unwrap()
}

/// Tells in the compiler's own words where something begins.
fn mark(name: &str) {
    std::mem::forget(format!("buildperm_mark_{}", name).parse::<TokenStream>());
}

/// Makes and drops streams in each way, three times: which calls these are is found out.
#[proc_macro]
pub fn counted_calls(input: TokenStream) -> TokenStream {
    let dot = || TokenTree::Punct(Punct::new('.', Spacing::Alone));
    mark("clone");
    let clones = vec![input.clone(), input.clone(), input.clone()];
    mark("more");
    let more = vec![input.clone(), input];
    mark("drop");
    drop(clones);
    mark("tree");
    let single: Vec<TokenStream> = (0..3).map(|_| TokenStream::from(dot())).collect();
    mark("trees");
    let mut double: Vec<TokenStream> =
        (0..2).map(|_| vec![dot(), dot()].into_iter().collect()).collect();
    double[0].extend(vec![dot(), dot()]);
    mark("streams");
    let mut both: TokenStream = single.into_iter().collect();
    both.extend(double);
    both.extend(more);
    mark("end");
    drop(both);
    TokenStream::new()
}

/// Panics if it is told to.
#[proc_macro]
pub fn panics(input: TokenStream) -> TokenStream {
    panic!("told to: {}", input)
}
