"""Certificates for 127.0.0.1, made by the openssl command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


def make_certificate(
    folder: Path, name: str = "localhost", issuer: Certificate | None = None
) -> Certificate:
    """A fresh certificate, its own authority or signed by `issuer`; needs openssl, else skips."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    signed = ["-CA", issuer.certificate, "-CAkey", issuer.key] if issuer else []
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", *signed, "-keyout", made.key, "-out",
            made.certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return made
