"""Who decides: the service where one can be asked, else the local copy of its policies.

The copy is refreshed beside the program's work and kept on disk, so that a program that starts
while the service is away goes by what it knew last. A service that does not answer is left alone
for a while: a failing program must not wait for it as well.
"""

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests

from spanledger_sdk import settings
from spanledger_sdk.guard import complain
from spanledger_sdk.names import TENANT_HEADER
from spanledger_sdk.outcome import problem_of
from spanledger_sdk.recovery.rules import Case, Decision, Rules, name_of, shipped
from spanledger_sdk.settings import Settings

REFRESH_S: Final = 60.0
ASK_TIMEOUT_S: Final = (0.5, 2.0)
"""To connect, and to answer."""
LEAVE_ALONE_S: Final = 30.0
_TEXT: Final = 8_000


class Policies:
    """The policies of one service and tenant. Safe for any number of threads.

    Args:
        rules: a copy to go by instead of that of the service, of the disk, or the shipped one.
    """

    def __init__(self, wanted: Settings, rules: Rules | None = None) -> None:
        self._base = wanted.api.rstrip("/")
        self._headers = {**dict(wanted.headers), TENANT_HEADER: wanted.tenant}
        if wanted.token:
            self._headers["authorization"] = f"Bearer {wanted.token}"
        folder = settings.spool_folder(wanted)
        self._file = folder / name_of(self._base, wanted.tenant) if folder and self._base else None
        self._rules = rules or self._kept() or shipped()
        self._refreshed_s = -REFRESH_S
        self._left_alone_until_s = 0.0
        self._lock = threading.Lock()

    @property
    def rules(self) -> Rules:
        """The copy; refreshed beside the program's work if it is old."""
        if self._base and time.monotonic() - self._refreshed_s >= REFRESH_S:
            with self._lock:
                if time.monotonic() - self._refreshed_s < REFRESH_S:
                    return self._rules
                self._refreshed_s = time.monotonic()
            threading.Thread(target=self.refresh, name="spanledger-policies", daemon=True).start()
        return self._rules

    def refresh(self) -> bool:
        """Take over the policies that are in force now; False if that failed."""
        try:
            document = self._request("GET", "policies", None)
            self._rules = Rules(document)
            self._keep(document)
        except (requests.RequestException, KeyError, TypeError, ValueError, OSError):
            return False  # the copy stays as it is
        return True

    def decide(self, case: Case, error: BaseException) -> Decision:
        """What is to be done about a failure: by the service, else by the copy."""
        rules = self.rules
        if self._base and time.monotonic() >= self._left_alone_until_s:
            try:
                return _decision(self._request("POST", "policies/decide", _body(case, error)))
            except (requests.RequestException, KeyError, TypeError, ValueError) as exc:
                self._left_alone_until_s = time.monotonic() + LEAVE_ALONE_S
                complain("the service did not decide, the local copy of its policies does", exc)
        return rules.decide(case, random.random())

    def _request(self, verb: str, path: str, body: Mapping[str, Any] | None) -> Any:
        answer = requests.request(
            verb, f"{self._base}/api/v1/{path}", json=body, headers=self._headers,
            timeout=ASK_TIMEOUT_S, allow_redirects=False,
        )  # fmt: skip
        answer.raise_for_status()
        return answer.json()

    def _kept(self) -> Rules | None:
        try:
            return Rules(json.loads(self._file.read_text("utf-8"))) if self._file else None
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def _keep(self, document: Any) -> None:
        """For the next start; another process may do the same at the same time."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        other = Path(f"{self._file}.{os.getpid()}")
        try:
            other.write_text(json.dumps(document), "utf-8")
            other.replace(self._file)
        finally:
            with contextlib.suppress(OSError):
                other.unlink()


def _body(case: Case, error: BaseException) -> dict[str, Any]:
    problem = problem_of(error)
    said = {
        "type": problem.type, "message": problem.message[:_TEXT],
        "stacktrace": problem.stack[-_TEXT:],
    }  # fmt: skip
    body: dict[str, Any] = {
        "error": said, "component": case.component, "task": case.task,
        "task_name": case.task_name, "environment": case.environment, "attempts": case.attempts,
        "elapsed_s": case.elapsed_s,
    }  # fmt: skip
    if case.retry_after_s is not None:
        body["retry_after"] = case.retry_after_s
    return body


def _decision(answer: Mapping[str, Any]) -> Decision:
    return Decision(
        retry=bool(answer["retry"]), reason=str(answer["reason"]),
        delay_s=float(answer["delay_s"] or 0.0), repair=bool(answer["repair"]),
        actions=tuple(answer["actions"]), max_attempts=int(answer["max_attempts"]),
        timeout_s=answer["timeout_s"], category=str(answer["category"]),
        policies=str(answer["policies"]),
        helped={
            one["action"]: f"{one['succeeded']} of {one['tried']} succeeded before"
            for one in answer.get("helped", ())
            if one["tried"]
        },
    )  # fmt: skip
