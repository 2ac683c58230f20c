"""Where the attempts of `spanledger run` go: to a service, by the SDK, from a process that is there
for them alone.

It must not cost the command anything: nothing is said on its standard error unless that is asked
for, and where no service answers the attempts are kept on disk, and a later run sends them.
"""

import contextlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from events import names
from spanledger_sdk import configure

EXIT_S: Final = 2.0
"""How long the end of a command may be held up."""
SERVICE: Final = "spanledger-run"


@dataclass(frozen=True, slots=True)
class Destination:
    """What was asked for; what is None comes from the environment, as the SDK reads it."""

    url: str | None
    token: str | None
    tenant: str | None
    service: str | None
    verbose: bool


@contextlib.contextmanager
def recording(to: Destination) -> Iterator[None]:
    """Attempts made in the block are sent, the last of them at its end."""
    if not to.verbose:
        for name in ("opentelemetry", "spanledger_sdk"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    about = {names.SERVICE_NAME: to.service or SERVICE, names.HOST_NAME: socket.gethostname()}
    provider = TracerProvider(resource=Resource.create(about))
    trace.set_tracer_provider(provider)
    telemetry = configure(
        endpoint=to.url, tenant=to.tenant, token=to.token, provider=provider,
        changes={"exit_timeout_s": EXIT_S},
    )  # fmt: skip
    try:
        yield
    finally:
        telemetry.shutdown()
