"""The policies in force: those that were applied last, kept whole in the data folder.

`policies.toml` is the user's; `policies.json` holds what was applied, so that a file that is
being edited, or is wrong, changes nothing until it is applied and right.
"""

from pathlib import Path
from typing import Final

import msgspec

from events.atomic_file import replace_file
from events.errors import BadInput
from projections.policies.reading import built_in, read_policies, read_policy_file
from projections.policies.resolving import PolicySet

FILE: Final = "policies.toml"
KEPT: Final = "policies.json"


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `policies.json`."""

    text: str
    digest: str
    file: str
    applied_ns: int
    actor: str

    def policies(self) -> PolicySet:
        """The policies, read anew."""
        return read_policies(self.text, self.file)


def file_of(data: Path, given: Path | None) -> Path:
    """The user's file: the one that is set, else that of the data folder."""
    return data / FILE if given is None else given


def kept(data: Path) -> InForce | None:
    """What was applied last in a folder; None if nothing was.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        return msgspec.json.decode((data / KEPT).read_bytes(), type=InForce)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as exc:
        raise BadInput(
            f"{data / KEPT} cannot be read: {exc}; remove it, and the next start applies {FILE}"
        ) from exc


def keep(data: Path, applied: InForce) -> None:
    """Let these be the ones in force from now on, after a restart too."""
    replace_file(data / KEPT, msgspec.json.encode(applied))


def policies_of(data: Path | None, given: Path | None = None) -> PolicySet:
    """The policies to go by without a service: those of a file; else those that were applied last
    in a folder, else the folder's own file; else those that are shipped.

    Raises:
        BadPolicies: the file is wrong.
    """
    if given is not None:
        return read_policy_file(given)
    if data is None:
        return built_in()
    applied = kept(data)
    if applied is not None:
        return applied.policies()
    return read_policy_file(data / FILE) if (data / FILE).exists() else built_in()
