"""TLS as it is checked before it matters: handshakes that are tried, and why one failed."""

import contextlib
import socket
import ssl
from pathlib import Path
from typing import Final

_REFUSAL_S: Final = 0.5
_DAY_S: Final = 86_400
HUNG_UP: Final = "it hung up, as one does that asks for a client certificate"
"""Python's own servers end a TLS connection so, without a word of TLS."""

_WORDS: Final = (
    ("CERTIFICATE_REQUIRED", "it asks for a client certificate"),
    ("HANDSHAKE_FAILURE", "it asks for a client certificate"),
    ("UNKNOWN_CA", "it does not trust the client certificate"),
    ("BAD_CERTIFICATE", "it does not trust the client certificate"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
)


def reason_of(error: ssl.SSLError) -> str:
    """Why there is no TLS connection, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message or error}"
    reason = str(error.reason or error.strerror or error)
    return next((words for mark, words in _WORDS if mark in reason), reason)


def shake_hands(connection: socket.socket, context: ssl.SSLContext, host: str) -> None:
    """Make sure that TLS would work over `connection`, which is used up.

    Raises:
        ssl.SSLError: one side does not trust the other.
    """
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(connection, server_hostname=host) as secure:
        # In TLS 1.3 a server refuses a client's certificate only after the client is done.
        secure.settimeout(_REFUSAL_S)
        with contextlib.suppress(TimeoutError):
            if not secure.recv(1):
                raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, HUNG_UP)


def days_left(certificate: Path, key: Path, now_s: float) -> float:
    """How long clients will take a certificate that they trust by itself.

    Raises:
        ssl.SSLError: it has expired, is not good yet, or the key does not fit.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key, password="")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = asking.getpeercert()
    assert found is not None
    return (ssl.cert_time_to_seconds(str(found["notAfter"])) - now_s) / _DAY_S
