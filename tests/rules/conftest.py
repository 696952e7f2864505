"""Makes a package of this folder for mypy."""
