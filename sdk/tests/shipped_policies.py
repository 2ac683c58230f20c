"""The SDK's copy of the policies that the service ships; `python -m sdk.tests.shipped_policies`
writes it anew."""

import json
from pathlib import Path

import msgspec

from projections.policies.reading import built_in
from projections.policies.resolving import said

FILE = Path(__file__).parents[1] / "spanledger_sdk" / "recovery" / "shipped.json"


def shipped_text() -> str:
    """What is to stand in the file: what the SDK needs of what `GET /api/v1/policies` answers."""
    policies = built_in()
    items = [
        {
            "id": placed.rule.id,
            "when": dict(placed.rule.when.asked()),
            "settings": msgspec.to_builtins(dict(said(placed.rule))),
        }
        for placed in policies.strongest_first()
    ]
    return json.dumps({"digest": policies.digest, "items": items}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(shipped_text(), "utf-8")
