"""What a process did to its files, system call by system call, and what a power cut would leave.

Recorded with strace. A file's content is certain up to its last fsync or fdatasync; of what was
written after that, any part may have reached the disk: each 512-byte sector of each write on its
own. A name is certain once its folder was synced.
"""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink"
SECTOR = 512
_LINE = re.compile(r"^(\d+) +(.*)$")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)")
_FD = re.compile(r"^(\d+)<([^>]*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class Call:
    """One finished system call on a file."""

    name: str
    path: str
    data: bytes = b""
    offset: int = 0
    fd: int = -1


def record(trace: Path, *command: str) -> list[Call]:
    """Run `python -m command…` under strace; the calls in the order they finished."""
    subprocess.run(
        ["strace", "-f", "-y", "-xx", "-s", "33554432", "-e", f"trace={CALLS}", "-o", str(trace),
         sys.executable, "-m", *command],
        check=True, stdout=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    return list(_parse(trace))


def _parse(trace: Path) -> Iterator[Call]:
    unfinished: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        matched = _LINE.match(line)
        if not matched:
            continue
        pid, text = matched.groups()
        if text.endswith("<unfinished ...>"):
            unfinished[pid] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := _RESUMED.match(text):
            text = unfinished.pop(pid) + resumed[1]
        found = _CALL.match(text)
        if found and int(found[3]) >= 0:
            yield from _call(found[1], found[2], int(found[3]), text)


def _call(name: str, arguments: str, result: int, text: str) -> Iterator[Call]:
    strings = [bytes.fromhex(s.replace("\\x", "")) for s in _STRING.findall(arguments)]
    if name == "openat":
        if "O_CREAT" in arguments:
            yield Call("create", strings[0].decode())
    elif name in ("rename", "unlink"):
        yield Call(name, strings[0].decode(), strings[-1])
    elif fd := _FD.match(arguments):
        path = bytes.fromhex(fd[2].replace("\\x", "")).decode() if "\\x" in fd[2] else fd[2]
        last = int(arguments.rsplit(",", 1)[-1]) if name in ("pwrite64", "ftruncate") else 0
        data = strings[0][:result] if strings else b""
        yield Call(name, path, data, last, int(fd[1]))


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)
    named: bool = False


class Disk:
    """The files below one folder as calls arrive; `cut` gives one possible disk."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._files: dict[str, _File] = {}

    def apply(self, call: Call) -> None:
        """Let one call happen."""
        if not call.path.startswith(self._root):
            return
        file = self._files.setdefault(call.path, _File())
        if call.name in ("fsync", "fdatasync"):
            if call.path == self._root:
                for other in self._files.values():
                    other.named = True
            for done in file.pending:
                _do(file.durable, done)
            file.pending.clear()
        elif call.name == "write":  # appended; the product's own files use pwrite
            end = len(file.durable) + sum(len(p.data) for p in file.pending)
            file.pending.append(Call("pwrite64", call.path, call.data, end))
        elif call.name in ("pwrite64", "ftruncate"):
            file.pending.append(call)
        elif call.name == "unlink":
            self._files.pop(call.path)

    def cut(self, target: Path, chance: random.Random) -> None:
        """Write what the disk holds if the power goes now, with luck drawn from `chance`."""
        target.mkdir(parents=True)
        luck = chance.choice([0.0, 0.5, 0.9, 1.0])
        for path, file in self._files.items():
            if path == self._root or path.endswith("-shm"):
                continue  # the shared index is no file of record: SQLite makes it anew
            if not file.named and chance.random() >= luck:
                continue
            content = bytearray(file.durable)
            for call in file.pending:
                for part in _sectors(call):
                    if chance.random() < luck:
                        _do(content, part)
            (target / Path(path).name).write_bytes(content)


def _sectors(call: Call) -> Iterator[Call]:
    if call.name != "pwrite64":
        yield call
        return
    at = 0
    while at < len(call.data):
        size = SECTOR - (call.offset + at) % SECTOR
        yield Call("pwrite64", call.path, call.data[at : at + size], call.offset + at)
        at += size


def _do(content: bytearray, call: Call) -> None:
    if call.name == "ftruncate":
        del content[call.offset :]
        content.extend(bytes(call.offset - len(content)))
        return
    end = call.offset + len(call.data)
    content.extend(bytes(max(end - len(content), 0)))
    content[call.offset : end] = call.data
