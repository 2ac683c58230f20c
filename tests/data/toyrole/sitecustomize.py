"""Registers a role that the product does not have, in every process that has this on its path."""

import os
from typing import Annotated

from msgspec import Meta

from service.roles.declaration import ROLES, Declaration, Port, Setting

ROLES["toy"] = Declaration(
    "toy", "toyrole", drains=0, readiness="ping",
    ports=(Port("toy", "Toys", default=int(os.environ["TOY_PORT"])),),
    settings=(Setting("toy_greeting", Annotated[str, Meta(description="What it says.")], "hello"),),
)  # fmt: skip
