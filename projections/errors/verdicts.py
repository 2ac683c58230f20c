"""What the rules in force say of errors: computed from its signature when it is asked for.

So a changed rule holds for all of history at once, and nothing has to be written anew for it.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final

from events.bounded import BoundedDict
from events.errors import BadSetting
from projections.errors.classify.classifier import Classifier, make_classifier
from projections.errors.classify.rule import Rule
from projections.errors.classify.verdict import Verdict
from projections.errors.record import Record
from projections.errors.signature import decode_signature
from projections.errors.suggest import suggestion_of

FOLDER: Final = "error-rules"
"""In the data folder: the user's own rules, as TOML files."""
LOOK_S: Final = 1.0
KEPT_BYTES: Final = 8 << 20
_log = logging.getLogger(__name__)

_Stamps = Sequence[tuple[str, int, int]]


class Verdicts:
    """The rules of the package and of a folder; safe to use from many threads.

    The folder is looked at again once a second at most. While a file in it is wrong, the rules that
    were read last stay, and the log says so. While rules are read, which takes a while, other
    threads go by those before them; only the very first are waited for.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._reading = Lock()
        self._looked_s = -LOOK_S
        self._stamps: _Stamps = ()
        self._classifier: Classifier | None = None
        self._kept: BoundedDict[bytes, tuple[Verdict, str | None]] = BoundedDict(KEPT_BYTES)

    def look(self) -> Sequence[Rule]:
        """The rules that hold, after a look at the folder."""
        with self._reading:
            return self._looked().rules

    def classifier(self) -> Classifier:
        """The rules as the files are now, applied."""
        return self._current()

    def of(self, content: bytes) -> tuple[Verdict, str | None]:
        """What the rules say of a stored signature, and the type of the error."""
        classifier = self._current()
        with self._lock:
            found = self._kept.get(content)
        if found is None:
            signature = decode_signature(content)
            found = classifier.classify(signature), signature.thrown.type or None
            with self._lock:
                if classifier is self._classifier:  # else it is of rules that hold no more
                    self._kept.keep(content, found, len(content))
        return found

    def told(self, content: bytes, message: str | None, component: str | None) -> dict[str, Any]:
        """What is known of an error with this signature, by the field that shows it."""
        verdict, type_ = self.of(content)
        attributes = {} if component is None else {"service.name": component}
        record = Record(type_ or "", message or "", "", attributes)
        return {
            "type": type_,
            "category": verdict.category, "severity": verdict.severity,
            "transient": verdict.transient, "confidence": verdict.confidence,
            "reason": verdict.reason, "suggestion": suggestion_of(verdict, record),
        }  # fmt: skip

    def _current(self) -> Classifier:
        """The rules as the files are now, or were a moment ago if another thread reads them."""
        known = self._classifier
        if known is not None and time.monotonic() - self._looked_s < LOOK_S:
            return known
        if not self._reading.acquire(blocking=known is None):
            assert known is not None
            return known
        try:
            if known is None and self._classifier is not None:
                return self._classifier  # read while this thread waited
            return self._looked()
        finally:
            self._reading.release()

    def _looked(self) -> Classifier:
        """The same after a look at the folder, by the thread that holds `_reading`."""
        self._looked_s = time.monotonic()
        stamps = _stamps(self._folder)
        if self._classifier is None or stamps != self._stamps:
            self._stamps = stamps
            made = self._read(bool(stamps))
            with self._lock:
                self._classifier = made
                self._kept.clear()
        return self._classifier

    def _read(self, own: bool) -> Classifier:
        try:
            return make_classifier([self._folder] if own and self._folder else ())
        except BadSetting as exc:
            _log.error(
                "own rules for errors cannot be used; those before them stay",
                extra={"action": "error_rules", "error": str(exc)},
            )
            return self._classifier or make_classifier()


def _stamps(folder: Path | None) -> _Stamps:
    """Name, time and size of each file of rules."""
    if folder is None or not folder.is_dir():
        return ()
    found = []
    for path in sorted(folder.glob("*.toml")):
        try:
            about = path.stat()
        except OSError:  # taken away meanwhile, or a link that leads nowhere: reading tells
            found.append((path.name, 0, 0))
        else:
            found.append((path.name, about.st_mtime_ns, about.st_size))
    return found
