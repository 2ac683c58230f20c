"""What can keep the service from working, looked at from outside: nothing here changes anything.

Each check stands alone and never raises: what it finds is told with what to do about it.
"""

import os
import shutil
import socket
import sqlite3
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib import metadata
from typing import Any, Final, Literal

import msgspec

from events.errors import SpanledgerError, Unavailable
from events.log.reader import open_reader
from events.log.sqlite import FILE
from events.native import Native, state_of
from events.times import SECOND_NS, rfc3339
from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.forward.target import resolve_all
from service.installation.packages import foreign_packages
from service.installation.sqlite_version import OLDEST, may_lose_wal, sqlite_version, text
from service.installation.version import VERSION
from service.network.endpoints import read_endpoints
from service.network.ports import Ports, PortTaken
from service.network.tls import days_left, reason_of, shake_hands
from service.roles.declaration import Port, all_ports

_MIB: Final = 1 << 20
_SCARCE_BYTES: Final = 1024 * _MIB
_FULL_BYTES: Final = 64 * _MIB
_SLOW_SYNC_S: Final = 0.05
_SYNCS: Final = 5
_REACH_S: Final = 2.0
_FEW_DAYS: Final = 14
_AHEAD_NS: Final = 5_000_000_000
_SANE_FROM_S: Final = 1_735_689_600  # 2025, before which this was not written
_NATIVES: Final = {
    "service.otlp.decode._native": "decoder", "events.log._table": "duplicate index",
}  # fmt: skip

State = Literal["ok", "warning", "failed"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. `hint` says what to do, if anything."""

    name: str
    state: State
    found: str
    hint: str = ""


def examine(settings: Settings) -> list[Check]:
    """Every check on the service that `settings` describe, running or not."""
    looks: tuple[Callable[[Settings], Iterator[Check]], ...] = (
        _versions, _packages, _folder, _privacy, _sync, _ports, _clock, _log, _tokens,
        _certificate, _targets,
    )  # fmt: skip
    return [check for look in looks for check in _guarded(look, settings)]


def _guarded(look: Callable[[Settings], Iterator[Check]], settings: Settings) -> Iterator[Check]:
    try:
        yield from look(settings)
    except (SpanledgerError, OSError, sqlite3.Error) as exc:
        yield Check(look.__name__.strip("_"), "failed", str(exc))


def _versions(settings: Settings) -> Iterator[Check]:
    python = text(sys.version_info[:3])
    yield Check("python", "ok", f"{python}, Spanledger {VERSION}")
    found = sqlite_version()
    if found < OLDEST:
        yield Check("sqlite", "failed", text(found), f"needs {text(OLDEST)} or newer")
    elif may_lose_wal(found):
        yield Check(
            "sqlite", "warning", f"{text(found)} has the WAL-reset bug",
            "let no other program write to ledger.db or views.db; fixed in 3.51.3, 3.50.7, 3.44.6",
        )  # fmt: skip
    else:
        yield Check("sqlite", "ok", text(found))
    yield Check("grpc", "ok", metadata.version("grpcio"))
    yield from map(_native, _NATIVES)


def _native(name: str) -> Check:
    what = _NATIVES[name]
    match state_of(name):
        case Native.ABSENT:
            hint = "install with a C compiler for about twice the speed"
            return Check(what, "warning", "in Python", hint)
        case Native.STALE:
            found = "in Python: what is compiled was built from other sources"
            return Check(what, "warning", found, "install again: make install")
    return Check(what, "ok", "native")


def _packages(settings: Settings) -> Iterator[Check]:
    foreign = foreign_packages()
    if foreign:
        found = ", ".join(f"{name} from {where}" for name, where in foreign)
        yield Check("packages", "failed", found, "install with pipx or uv tool, on its own")
    else:
        yield Check("packages", "ok", "events, projections and service are our own")


def _folder(settings: Settings) -> Iterator[Check]:
    data = settings.data
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Check("data", "failed", f"{place} cannot be written", "choose another --data")
        return
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= _SCARCE_BYTES else "warning" if free >= _FULL_BYTES else "failed"
    hint = "" if state == "ok" else "make room: a full disk refuses events, and loses none"
    yield Check("data", state, f"{data}, {free // _MIB:,} MiB free", hint)


def _privacy(settings: Settings) -> Iterator[Check]:
    log = settings.data / FILE
    if not log.exists():
        return
    folders = (settings.data, *settings.data.parents)
    if log.stat().st_mode & 0o004 and all(folder.stat().st_mode & 0o001 for folder in folders):
        found = f"every user of this machine can read {log}"
        yield Check("privacy", "warning", found, f"chmod 700 {settings.data}")
    else:
        yield Check("privacy", "ok", f"other users of this machine cannot read {log}")


def _sync(settings: Settings) -> Iterator[Check]:
    if not settings.data.is_dir():
        return
    path = settings.data / f"doctor-{os.getpid()}"
    times = []
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(_SYNCS):
                started_s = time.perf_counter()
                file.write(bytes(4096))
                os.fsync(file.fileno())
                times.append(time.perf_counter() - started_s)
    finally:
        path.unlink(missing_ok=True)
    median_s = sorted(times)[_SYNCS // 2]
    slow = median_s > _SLOW_SYNC_S
    hint = "every commit waits for the disk; senders that wait for it will be slow" if slow else ""
    yield Check("sync", "warning" if slow else "ok", f"{median_s * 1000:.1f} ms to disk", hint)


def _ports(settings: Settings) -> Iterator[Check]:
    ours = read_endpoints(settings.data) or {}
    for port in all_ports():
        yield _port(settings, port, ours)
    if not ours and (settings.data / "endpoints.json").exists():
        yield Check(
            "endpoints", "ok", "left by a service that was killed; the next start cleans up"
        )


def _port(settings: Settings, port: Port, ours: Mapping[str, Any]) -> Check:
    name, number = f"port {port.name}", port.number(settings)
    there = str(ours.get(port.name, ""))
    if number is None:
        return Check(name, "ok", "off")
    if there and (number == 0 or there.rpartition(":")[2] == str(number)):
        return Check(name, "ok", f"{there}, of our service (process {ours['pid']})")
    try:
        Ports(settings.host, {port.setting: number}).close()
    except PortTaken as exc:
        if port.is_asked_for(settings):
            return Check(name, "failed", str(exc))
        return Check(name, "warning", str(exc), "it was not asked for: the service leaves it out")
    return Check(name, "ok", f"{number} is free" if number else "takes a free one")


def _clock(settings: Settings) -> Iterator[Check]:
    now_s = time.time()
    if now_s < _SANE_FROM_S:
        yield Check("clock", "failed", f"it is {time.ctime(now_s)} here", "set the clock, use NTP")
        return
    try:
        with closing(open_reader(settings.data)) as reader:
            ahead_ns = reader.head().committed_ns - time.time_ns()
    except SpanledgerError:
        ahead_ns = 0  # told by the check of the log
    if ahead_ns > _AHEAD_NS:
        found = f"{ahead_ns / 1e9:.0f} s behind the last commit of the log"
        yield Check(
            "clock", "failed", found, "set the clock; commit times will stand still so long"
        )
    else:
        yield Check("clock", "ok", rfc3339(int(now_s) * SECOND_NS) or "")


def _log(settings: Settings) -> Iterator[Check]:
    if not (settings.data / FILE).exists():
        yield Check("log", "ok", "none yet; the first start makes it")
        return
    try:
        with closing(open_reader(settings.data)) as reader:
            head = reader.head()
    except Unavailable as exc:
        yield Check("log", "warning", str(exc))
    except SpanledgerError as exc:
        yield Check("log", "failed", str(exc), "spanledger log verify shows where")
    else:
        yield Check("log", "ok", f"head {head.position}:{head.hash.hex()[:16]}…")


def _tokens(settings: Settings) -> Iterator[Check]:
    path = settings.data / "tokens.json"
    known = TokenStore(path).list()
    if not known:
        yield Check("tokens", "ok", "none: everybody on this machine may do everything")
    elif path.stat().st_mode & 0o077:
        yield Check("tokens", "warning", f"{path} is open to others", f"chmod 600 {path}")
    else:
        yield Check("tokens", "ok", f"{len(known)}")


def _certificate(settings: Settings) -> Iterator[Check]:
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        days = days_left(settings.tls_cert, settings.tls_key, time.time())
    except ssl.SSLError as exc:
        found = f"{settings.tls_cert}: {reason_of(exc)}"
        yield Check("certificate", "failed", found, "clients will refuse it")
    else:
        few = days < _FEW_DAYS
        found = f"{settings.tls_cert} is good for {days:.0f} days"
        yield Check("certificate", "warning" if few else "ok", found, "renew it" if few else "")


def _targets(settings: Settings) -> Iterator[Check]:
    for target in resolve_all(settings.forward):
        name = f"forward {target.name}"
        try:
            with socket.create_connection((target.host, target.port), _REACH_S) as connection:
                if target.tls is not None:
                    shake_hands(connection, target.tls.context(), target.host)
            yield Check(name, "ok", f"{target.authority} answers")
        except ssl.SSLError as exc:
            hint = "see ca_file, cert_file and key_file of the target; spans wait in the log"
            yield Check(name, "failed", f"{target.authority}: {reason_of(exc)}", hint)
        except OSError as exc:
            hint = "spans wait in the log until it is there"
            yield Check(name, "failed", f"{target.authority}: {exc.strerror or exc}", hint)
