"""Holds one process tree to a specification: the trusted base, which runs once per build script."""
