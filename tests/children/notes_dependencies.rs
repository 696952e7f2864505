// Writes down what Cargo tells a build script about its dependencies.
fn main() {
    let found: Vec<String> = std::env::vars()
        .filter(|(name, _)| name.starts_with("DEP_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    std::fs::write(
        std::env::var("NOTES").unwrap() + "/dependent",
        found.join("\n"),
    )
    .unwrap();
}
