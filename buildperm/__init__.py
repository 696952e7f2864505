"""Records what Cargo build scripts do, lets a person decide, and holds every build to it."""

__version__ = "0.1.0"
