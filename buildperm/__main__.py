"""Lets `python -m buildperm` stand in for the `buildperm` command."""

from buildperm.cli import main

if __name__ == "__main__":
    main()
