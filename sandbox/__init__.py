"""Holds the process tree of a build script to a spec: supervisor, Landlock, seccomp, hygiene."""
