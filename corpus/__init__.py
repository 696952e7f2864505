"""Crates of the registry whose build scripts do real work, and what buildperm makes of them."""
