"""Lets `python -m buildperm` stand in for the `buildperm` command, which begins here as well."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; what a prompt asks for is answered without loading the rest."""
    if sys.argv[1:] == ["status", "--short"]:
        from buildperm import short_status

        sys.exit(short_status.main())
    from buildperm import cli

    cli.main()


if __name__ == "__main__":
    main()
