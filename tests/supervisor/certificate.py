"""A certificate for one name, made by openssl(1)."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAME = "example.test"


def certificate(folder: Path, alternative: str = f"DNS:{NAME}") -> Path:
    """Make a certificate for NAME, or what is named in its place, with its key beside it."""
    made = folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext"),
            *(f"subjectAltName={alternative}", "-keyout", folder / "key.pem", "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    return made
