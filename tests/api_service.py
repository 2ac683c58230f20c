"""The API on a data folder, over a real socket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from events.errors import Unavailable
from service.access.tokens import TokenStore
from service.api.server import ApiServer
from service.configuration.settings import Settings


def everyone_answers(role: str) -> None:
    """A probe of roles that finds all of them well."""


def nobody_answers(role: str) -> None:
    """A probe of roles that finds none."""
    raise Unavailable(f"no {role} runs")


@contextmanager
def serving(
    data: Path, *, probe: Callable[[str], None] = everyone_answers, **settings: Any
) -> Iterator[httpx.Client]:
    """A client of the API on `data`; the server ends with the block."""
    server = ApiServer(
        Settings(data=data, api_port=0, **settings), TokenStore(data / "tokens.json"), probe=probe
    )
    address = server.start()
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        server.close()


def pages(client: httpx.Client, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Every page of a list."""
    while True:
        answer = client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if answer.json()["next"] is None:
            return
        parameters["cursor"] = answer.json()["next"]
