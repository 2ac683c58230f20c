"""A stock Jaeger's page and query API, before a remote storage.

Apart from the others, because the tests of orchestrators load these in environments of their own,
in which there is no YAML.
"""

import json
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.peers.jaeger import jaeger_binary
from tests.peers.process import Peer
from tests.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "deploy" / "jaeger-query.yaml"


class JaegerPage(Peer):
    """A Jaeger that only asks a remote storage at `storage`, `host:port`, as the example in
    `deploy/` sets it up; `query` is its page's `host:port`. `headers` go with each call."""

    def __init__(self, folder: Path, storage: str, headers: dict[str, str] | None = None) -> None:
        query, query_grpc = free_port(), free_port()
        config = yaml.safe_load(EXAMPLE.read_text())
        extensions = config["extensions"]
        extensions["jaeger_query"]["http"] = {"endpoint": f"127.0.0.1:{query}"}
        extensions["jaeger_query"]["grpc"] = {"endpoint": f"127.0.0.1:{query_grpc}"}
        backend = extensions["jaeger_storage"]["backends"]["spanledger"]["grpc"]
        backend |= {"endpoint": storage, "headers": headers or {}}
        super().__init__(jaeger_binary(), yaml.safe_dump(config), folder, [query])
        self.query = f"127.0.0.1:{query}"

    def get(self, path: str) -> Any:
        """The JSON that it answers.

        Raises:
            urllib.error.HTTPError: it answers with an error.
        """
        with urllib.request.urlopen(f"http://{self.query}{path}", timeout=60) as response:
            return json.load(response)
