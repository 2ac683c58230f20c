"""The writer: alone opens the log for writing, and serves its append door on a Unix socket."""

from collections.abc import Callable, Mapping
from typing import Any

from events.errors import Unavailable
from events.log.door import GroupDoor
from events.log.port import Door
from events.log.socket import DoorServer
from service.configuration.settings import Settings
from service.control.socket import make_socket_folder, socket_path
from service.roles import Place
from service.telemetry.spans import traced_door


class Writer:
    """The log's writer and its door, in this process."""

    locks = ("writer",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._group: GroupDoor | None = None
        self._server: DoorServer | None = None
        self._door: Door | None = None

    @property
    def door(self) -> Door:
        """The door of a started writer, for those in the same process."""
        assert self._door is not None
        return self._door

    def start(self) -> dict[str, str]:
        path = socket_path(self._settings.data, "door")
        make_socket_folder(path)
        self._group = GroupDoor(self._settings.data, self._settings.queue_bytes)
        self._door = traced_door(self._group)
        self._server = DoorServer(path, self._door)
        return {}

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {"head": self._head, "writable": self._writable, "heard-again": self._heard_again}

    def _heard_again(self, ids: list[str], within_ns: int) -> list[str] | None:
        """See `Repeats.heard_again`; ids are in hex."""
        assert self._group is not None
        found = self._group.heard_again(map(bytes.fromhex, ids), within_ns)
        return None if found is None else [one.hex() for one in found]

    def _writable(self) -> None:
        """Raise Unavailable while the log takes nothing: a full disk, or damage."""
        assert self._group is not None
        if self._group.damage or self._group.failing:
            raise Unavailable(f"the log takes nothing: {self._group.damage or self._group.failing}")

    def _head(self) -> dict[str, Any]:
        assert self._group is not None
        return {
            "position": str(self._group.head),
            "log_id": self._group.log_id,
            "damage": str(self._group.damage) if self._group.damage else None,
        }

    def drain(self, deadline_s: float) -> None:
        if self._group is not None:
            self._group.drain(deadline_s)

    def close(self) -> None:
        server, self._server = self._server, None
        group, self._group = self._group, None
        if server is not None:
            server.close()
        if group is not None:
            group.close()


def build(settings: Settings, place: Place) -> Writer:
    """See `service.roles.build`."""
    return Writer(settings)
