"""What a build script may do: rules, tokens, presets, grants, risk, and the Cargo.toml editor."""
