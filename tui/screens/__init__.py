"""One screen a module; each dismisses with a value and writes nothing."""
