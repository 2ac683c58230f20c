"""Where answers come from: the views of a local data folder, or a service over HTTP.

Both give the same documents for the same question.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Source(Protocol):
    """Answers questions in the words of the HTTP API."""

    where: str

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The document at `resource` (below /api/v1)."""
        ...

    def close(self) -> None: ...
