"""A log's writer with its door, where the other roles of a data folder look for it."""

from contextlib import closing
from pathlib import Path

from events.log.door import GroupDoor
from events.log.port import Recorded
from events.log.reader import open_reader
from events.log.socket import DoorServer
from events.schema import Fact
from service.control.socket import make_socket_folder, socket_path


class Writer:
    """Holds the log of `data` open for writing until it is closed."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.door = GroupDoor(data)
        self.path = socket_path(data, "door")
        make_socket_folder(self.path)
        self.server = DoorServer(self.path, self.door)

    def listen_again(self) -> None:
        """After the server was closed."""
        self.server = DoorServer(self.path, self.door)

    def stored(self) -> list[Recorded]:
        """Everything in the log."""
        with closing(open_reader(self.data)) as reader:
            return list(reader.read(0, 0).recorded())

    def facts(self) -> list[Fact]:
        """The facts among it."""
        return [r.event for r in self.stored() if isinstance(r.event, Fact)]

    def close(self) -> None:
        self.server.close()
        self.door.close()
