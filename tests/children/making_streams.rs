//! Macros that make and drop many token streams, in each way and in odd moments.
extern crate proc_macro;
use proc_macro::{
    Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree,
};

fn dot() -> TokenTree {
    TokenTree::Punct(Punct::new('.', Spacing::Alone))
}

/// Makes streams in all ways, keeps some, drops some, looks into some.
fn mixed(input: &TokenStream, times: usize) -> TokenStream {
    let mut kept = Vec::new();
    let mut made = TokenStream::new();
    for at in 0..times {
        let mut stream = input.clone();
        stream.extend([dot(), TokenTree::Literal(Literal::usize_unsuffixed(at))]);
        stream.extend([input.clone(), TokenStream::from(dot())]);
        if at % 7 == 0 {
            kept.push(stream.clone().into_iter().count());
        }
        if at % 5 == 0 {
            drop(std::mem::take(&mut made));
        }
        made.extend([TokenTree::Group(Group::new(Delimiter::Bracket, stream)), dot()]);
        if at % 11 == 0 && made.is_empty() {
            kept.push(made.to_string().len());
        }
    }
    made.extend([TokenTree::Literal(Literal::usize_unsuffixed(kept.iter().sum()))]);
    made
}

fn constant(name: &str, text: &str) -> TokenStream {
    let ident = TokenTree::Ident(Ident::new(name, Span::call_site()));
    let mut made: TokenStream = "pub const".parse().unwrap();
    made.extend([ident]);
    made.extend(format!(": &str = {text:?};").parse::<TokenStream>());
    made
}

/// What came of it stands in a constant.
#[proc_macro]
pub fn mixes(input: TokenStream) -> TokenStream {
    constant("MIXED", &mixed(&input, 400).to_string())
}

#[proc_macro_attribute]
pub fn rebuilds(_: TokenStream, item: TokenStream) -> TokenStream {
    fn rebuilt(stream: TokenStream) -> TokenStream {
        stream
            .into_iter()
            .map(|tree| match tree {
                TokenTree::Group(old) => {
                    let mut new = Group::new(old.delimiter(), rebuilt(old.stream()));
                    new.set_span(old.span());
                    TokenTree::Group(new)
                }
                other => other,
            })
            .collect()
    }
    rebuilt(item)
}

/// A hundred thousand streams that nobody looks at.
#[proc_macro]
pub fn drops_many(input: TokenStream) -> TokenStream {
    for _ in 0..100_000 {
        drop(input.clone());
    }
    input
}

/// One call is longer than what may wait.
#[proc_macro]
pub fn long_call(input: TokenStream) -> TokenStream {
    let mut made = input.clone();
    made.extend((0..30_000).map(|_| dot()));
    drop(input);
    constant("LONG", &made.to_string().len().to_string())
}

#[proc_macro]
pub fn panics_among(input: TokenStream) -> TokenStream {
    let _held = vec![input.clone(), input.clone()];
    let made = mixed(&input, 10);
    if !made.is_empty() {
        panic!("told to: {made}");
    }
    made
}

/// Goes on after a panic, whose unwinding drops streams.
#[proc_macro]
pub fn survives(input: TokenStream) -> TokenStream {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = mixed(&input, 10);
        let wrong: TokenStream = "(".parse().unwrap();
        wrong
    }));
    constant("SURVIVED", &format!("{} {}", caught.is_err(), mixed(&input, 10)))
}
