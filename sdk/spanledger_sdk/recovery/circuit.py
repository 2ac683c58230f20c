"""Circuits: a component that fails again and again is left alone for a while.

In this process, for each component. One call tries whether it works again, once that is over.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final


class CircuitOpen(ConnectionError):
    """The component is left alone for `retry_after_s` more seconds; nothing was tried."""

    def __init__(self, component: str, retry_after_s: float) -> None:
        super().__init__(
            f"{component or 'the component'} is left alone for {retry_after_s:.1f} s more, because "
            "its last calls failed"
        )
        self.component = component
        self.retry_after_s = retry_after_s


class Circuit:
    """Of one component.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, component: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._component = component
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._first_s = 0.0
        self._open_until_s = 0.0
        self._trying = False

    def require(self) -> None:
        """See to it that a call may be made.

        Raises:
            CircuitOpen: the component is left alone.
        """
        with self._lock:
            now_s = self._clock()
            if not self._open_until_s:
                return
            if now_s < self._open_until_s:
                raise CircuitOpen(self._component, self._open_until_s - now_s)
            if self._trying:
                raise CircuitOpen(self._component, 1.0)
            self._trying = True

    def closed_in_s(self) -> float:
        """How long it is open yet; 0 if it is not."""
        with self._lock:
            return max(self._open_until_s - self._clock(), 0.0)

    def succeeded(self) -> None:
        """A call was well: it is closed."""
        with self._lock:
            self._failures, self._open_until_s, self._trying = 0, 0.0, False

    def ended(self) -> None:
        """A call ended without telling anything of the component; another one may try it."""
        with self._lock:
            self._trying = False

    def failed(self, values: Mapping[str, Any], *, counts: bool) -> bool:
        """A call failed; whether the circuit is open now.

        Args:
            values: the settings `circuit.…`.
            counts: whether the failure is the component's: it will pass, or nobody can tell.
        """
        most, window_s = values["circuit.failures"], values["circuit.window_s"]
        with self._lock:
            was_trying, self._trying = self._trying, False
            if not most or not counts:
                return False
            now_s = self._clock()
            if not self._failures or now_s - self._first_s > window_s:
                self._failures, self._first_s = 0, now_s
            self._failures += 1
            if self._failures >= most or was_trying:
                self._open_until_s = now_s + values["circuit.open_s"]
                self._failures = 0
                return True
            return False


_circuits: Final[dict[str, Circuit]] = {}
_lock: Final = threading.Lock()


def circuit_of(component: str) -> Circuit:
    """The circuit of a component, one for the process."""
    with _lock:
        return _circuits.setdefault(component, Circuit(component))


def forget_circuits() -> None:
    """Begin anew: between tests."""
    with _lock:
        _circuits.clear()
