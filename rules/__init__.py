"""What the trusted base has to know of the rules: patterns, addresses, variables, directives."""
