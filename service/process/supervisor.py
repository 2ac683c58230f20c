"""One command, several processes: started in order, watched, restarted, drained in order.

Order of a start: locks, ports, what starts ahead, all other children at once; ready when all are.
Order of an end: as the roles declare it; the API with its open streams first, the receivers, the
projector once it has caught up a little, the forwarder, and the writer last. A child that dies is
started again, each time after a longer pause; one that cannot start at all ends the service with
its message.
"""

import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from events import errors, metrics
from events.errors import SpanledgerError, Unavailable
from service.configuration.reading import to_json
from service.configuration.settings import Settings
from service.control.locks import AlreadyRunning, RoleLock, is_held
from service.control.socket import ControlServer, socket_path
from service.installation.version import VERSION
from service.network.endpoints import SUPERVISOR, read_endpoints, remove_endpoints, write_endpoints
from service.network.ports import Ports, PortTaken
from service.process.child import Child
from service.process.reloading import reload_files
from service.roles.declaration import ROLES, all_ports, instances_of, role_of
from service.telemetry.gathering import Gatherer

_START_S: Final = 600.0
"""A log of many events takes its time to be indexed; a hung child is stopped by people."""
_QUICK_S: Final = 0.2
_KILL_AFTER_S: Final = 1.5
_ORPHANS_S: Final = 2.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_log = logging.getLogger(__name__)


class ChildFailed(SpanledgerError):
    """A part of the service could not start."""


class Supervisor:
    """Runs the service of one data folder until a signal ends it.

    Args:
        on_ready: hears the ports once everything works.
    """

    def __init__(self, settings: Settings, on_ready: Callable[[dict[str, str]], None]) -> None:
        self._settings = settings
        self._on_ready = on_ready
        self._children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._in_terminal = any(os.isatty(number) for number in range(3))
        self._reloading: threading.Thread | None = None
        self._reload_asked = False
        self._announced = False
        self._left_out: dict[str, str] = {}
        self._started_s = time.monotonic()
        # Views and index use numpy for short arrays: its thread pools would only cost memory.
        # Metrics are gathered over sockets: no file of prometheus_client's is made for them.
        self._environment = {"OPENBLAS_NUM_THREADS": "1"} | {
            name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"
        }
        self._metrics = Gatherer(settings.data, SUPERVISOR, lambda: [*self._children])

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            AlreadyRunning: a service runs on this data folder.
            PortTaken: another process has one of the ports.
            SpanledgerError: a part could not start.
        """
        data = self._settings.data
        with ExitStack() as held:
            held.enter_context(_only_one(data))
            _await_orphans(self._settings)
            remove_endpoints(data)
            self._take_ports(held)
            held.enter_context(self._waking_signals())
            held.enter_context(self._metrics.gathering())
            control = ControlServer(socket_path(data, SUPERVISOR), self._handlers())
            held.callback(control.close)
            control.start()
            held.callback(remove_endpoints, data)
            held.callback(self._kill_all)
            self._start_all()
            self._announce()
            while not self._signals:
                self._turn()
            remove_endpoints(data)
            self._drain()

    def _take_ports(self, held: ExitStack) -> None:
        """Take the ports that are on, and put their numbers into the settings.

        Raises:
            PortTaken: another process has one that the service is not to start without.
        """
        for port in all_ports():
            number = port.number(self._settings)
            if number is None:
                continue
            try:
                ports = held.enter_context(Ports(self._settings.host, {port.setting: number}))
                number = ports.numbers[port.setting]
            except PortTaken as exc:
                if port.is_asked_for(self._settings):
                    raise
                number, self._left_out[port.name] = None, f"left out: {exc}"
                _log.warning("port left out", extra={"action": "port", "error": str(exc)})
            placed = port.placed(self._settings, number)
            self._settings = msgspec.structs.replace(self._settings, **placed)

    def _start_all(self) -> None:
        """Start every child at once, after those that go ahead; those who need the log wait for
        the writer to open it."""
        deadline_s = time.monotonic() + _START_S
        instances = instances_of(self._settings)
        ahead = [name for name in instances if ROLES[role_of(name)].starts_ahead]
        for stage in (ahead, [name for name in instances if name not in ahead]):
            if self._signals:
                return
            for instance in stage:
                self._children[instance] = Child(instance)
                self._start(self._children[instance])
            self._await_ready(deadline_s)

    def _await_ready(self, deadline_s: float) -> None:
        while not all(child.ready for child in self._children.values()) and not self._signals:
            if time.monotonic() > deadline_s:
                late = [child.instance for child in self._children.values() if not child.ready]
                raise Unavailable(f"not ready after {_START_S:g} s: {', '.join(late)}")
            self._turn()

    def _start(self, child: Child) -> None:
        reports = child.start(to_json(self._settings), self._environment)
        self._selector.register(reports, selectors.EVENT_READ, child)

    def _turn(self) -> None:
        """Wait for a report, a signal, an end or a start that is due, and act on it."""
        for key, _ in self._selector.select(self._patience_s()):
            if isinstance(key.data, Child):
                if not key.data.hear():
                    self._selector.unregister(key.fileobj)
            else:
                self._wakeup.recv(64)
        if self._reload_asked:
            self._reload()
        for child in self._children.values():
            if child.ended:
                self._bury(child)
            elif child.due_s is not None and child.due_s <= time.monotonic() and not self._signals:
                self._start(child)

    def _patience_s(self) -> float:
        """How long to wait at most. A child hangs up a moment before it can be reaped."""
        watched = {id(key.data) for key in self._selector.get_map().values()}
        if any(child.running and id(child) not in watched for child in self._children.values()):
            return 0.02
        due = [child.due_s for child in self._children.values() if child.due_s is not None]
        return max(min([1.0, *(at_s - time.monotonic() for at_s in due)]), 0.0)

    def _bury(self, child: Child) -> None:
        """Clean up after a process that ended, and plan the next one if it should not have.

        Raises:
            SpanledgerError: it never worked, so another would not either.
        """
        pid = child.pid
        assert pid is not None
        for key in [k for k in self._selector.get_map().values() if k.data is child]:
            self._selector.unregister(key.fileobj)
        code = child.bury()
        if child.metrics is not None:
            self._metrics.take(child.metrics)
        if self._signals:
            return
        if not self._announced and code >= 0:
            raise _start_error(child, code)
        pause_s = child.schedule()
        metrics.CHILD_RESTARTS.labels(role_of(child.instance)).inc()
        reason = child.failure.message if child.failure else _ended(code)
        _log.error(
            "child ended, starting it again",
            extra={
                "action": "restart", "child": child.instance, "child_pid": pid,
                "reason": reason, "pause_s": pause_s, "restarts": child.restarts,
            },
        )  # fmt: skip

    def _announce(self) -> None:
        """Once, when everything works: publish the ports."""
        if self._announced or self._signals:
            return
        self._announced = True
        ports: dict[str, str] = {}
        for child in self._children.values():
            ports |= child.ports
        write_endpoints(self._settings.data, ports, VERSION, left_out=self._left_out)
        seconds = round(time.monotonic() - self._started_s, 2)
        _log.info("serving", extra={"action": "serve", "seconds": seconds, **ports})
        self._on_ready(ports)

    def _drain(self) -> None:
        """End the children stage by stage; a second signal cuts it short."""
        started_s = time.monotonic()
        deadline_s = started_s + self._settings.drain_s
        _log.info("draining", extra={"action": "drain", "seconds": self._settings.drain_s})
        for declared in sorted(ROLES.values(), key=lambda declared: declared.drains):
            stage = [c for c in self._children.values() if role_of(c.instance) == declared.name]
            left_s = max(deadline_s - time.monotonic(), _QUICK_S)
            within_s = left_s * declared.drain_share
            for child in stage:
                if child.running:
                    child.ask_stop(within_s)
            self._await_end(stage, within_s + _KILL_AFTER_S)
            if self._signals > 1:
                break
        self._end_rest()
        seconds = round(time.monotonic() - started_s, 2)
        _log.info("stopped", extra={"action": "stop", "seconds": seconds})

    def _end_rest(self) -> None:
        rest = [child for child in self._children.values() if child.running]
        for child in rest:
            child.ask_stop(_QUICK_S)
        self._await_end(rest, _KILL_AFTER_S, patient=True)

    def _await_end(self, children: list[Child], within_s: float, *, patient: bool = False) -> None:
        """Wait until `children` ended; kill what is left after `within_s`."""
        deadline_s = time.monotonic() + within_s
        while any(child.running for child in children):
            if self._signals > 1 and not patient:
                return
            if time.monotonic() > deadline_s:
                late = [child.instance for child in children if child.running]
                _log.error("not drained in time", extra={"action": "kill", "children": late})
                for child in children:
                    child.kill()
                deadline_s = float("inf")
            self._turn()

    def _kill_all(self) -> None:
        """Leave no process behind, however this one ends."""
        self._signals += 1
        for child in self._children.values():
            child.kill()
        self._await_end(list(self._children.values()), _KILL_AFTER_S, patient=True)

    def _handlers(self) -> dict[str, Callable[..., Any]]:
        def status() -> list[dict[str, Any]]:
            return [
                {"instance": c.instance, "pid": c.pid, "ready": c.ready, "restarts": c.restarts}
                for c in list(self._children.values())
            ]

        def ping() -> dict[str, Any]:
            return {"instance": SUPERVISOR, "pid": os.getpid(), "version": VERSION}

        return {"status": status, "ping": ping, "metrics": self._metrics.text}

    @contextmanager
    def _waking_signals(self) -> Iterator[None]:
        """Count the signals that end the service, and let them wake the selector."""
        self._wakeup, sender = socket.socketpair()
        self._wakeup.setblocking(False)
        sender.setblocking(False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number, handler in before.items():
            applies = number == signal.SIGHUP and not self._in_terminal
            if applies or handler is not signal.SIG_IGN:  # else as nohup asked for
                signal.signal(number, self._count_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(descriptor)
            self._selector.unregister(self._wakeup)
            self._wakeup.close()
            sender.close()

    def _count_signal(self, number: int, _: Any) -> None:
        if number == signal.SIGHUP and not self._in_terminal:
            self._reload_asked = True
        else:  # in a terminal SIGHUP says that it is gone
            self._signals += 1

    def _reload(self) -> None:
        """Do what SIGHUP asks for, as the commands do, beside all else."""
        self._reload_asked = False
        if self._reloading is None or not self._reloading.is_alive():
            data, instances = self._settings.data, [*self._children]
            self._reloading = threading.Thread(
                target=reload_files, args=(data, instances), name="reload", daemon=True
            )
            self._reloading.start()


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    try:
        lock = RoleLock(data, SUPERVISOR)
        lock.acquire()
    except AlreadyRunning as exc:
        there = read_endpoints(data) or {}
        where = ", ".join(
            f"{port.name} {there[port.name]}" for port in all_ports() if port.name in there
        )
        raise AlreadyRunning(
            f"another service runs on {data}: process {there.get('pid', 'unknown')}"
            f"{' with ' + where if where else ''}; stop it first, or choose another --data"
        ) from exc
    try:
        yield
    finally:
        lock.release()


def _await_orphans(settings: Settings) -> None:
    """A killed service's children end within a second; until then they hold locks and ports."""
    deadline_s = time.monotonic() + _ORPHANS_S
    while any(is_held(settings.data, name) for name in {"writer", *instances_of(settings)}):
        if time.monotonic() > deadline_s:
            return  # they are no orphans; whoever needs their lock or port says so
        time.sleep(0.02)


def _start_error(child: Child, code: int) -> SpanledgerError:
    """What to tell about a child that never worked."""
    if child.failure is None:
        return ChildFailed(f"the {child.instance} could not start: {_ended(code)}; see its log")
    kind: type[SpanledgerError] = ChildFailed
    if child.failure.kind == AlreadyRunning.__name__:
        kind = AlreadyRunning
    elif hasattr(errors, child.failure.kind):
        kind = getattr(errors, child.failure.kind)
    return kind(f"the {child.instance} could not start: {child.failure.message}")


def _ended(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
