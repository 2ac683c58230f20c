"""Retries by policy: `with_recovery`, remedies, and circuits. Needs the extra `recovery`.

`rules` is the local copy of the policies, `asking` refreshes it and asks the service, `kinds` says
what an exception is where no service does, `retrying` goes round.
"""

from spanledger_sdk.recovery.circuit import CircuitOpen
from spanledger_sdk.recovery.retrying import attempt_timeout_s, with_recovery

__all__ = ["CircuitOpen", "attempt_timeout_s", "with_recovery"]
