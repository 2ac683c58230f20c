"""The rules in force, as they are kept whole in the data folder; who puts them there is a service.

Files that are edited do nothing until they are applied: a rule that changes rewrites history.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from events.errors import BadInput
from projections.mapping.rules.ruleset import RuleSet

FILE: Final = "mappings.json"


class InForce(msgspec.Struct, frozen=True):
    """What stands in the file.

    `whole_from`: attributes that identify or join, and are therefore left as they are by scrubbing,
    each with the position of the log from which on they are whole (0: all are).
    """

    content: dict[str, Any]
    digest: str
    applied_ns: int
    whole_from: dict[str, int]
    directory: str = ""  # of the user's files that were applied; empty: there were none
    pending: tuple[str, ...] = ()  # keys whose position is not final: receivers were not told yet

    @property
    def rules(self) -> RuleSet:
        """The rules, compiled anew."""
        return RuleSet(self.content)


def read(data: Path) -> InForce | None:
    """What is in force in a folder; None before the first start.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=InForce)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as exc:
        raise BadInput(
            f"{data / FILE} cannot be read: {exc}; remove it, and the next start applies the rules "
            "that are there"
        ) from exc
