"""`spanledger errors compare`: what another version of fingerprints would merge, and split."""

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from service.cli.command import command
from service.cli.options import Asking, Form
from service.cli.output.documents import Document, write
from service.cli.source.source import open_source


@command
def compare(
    old: Annotated[int, typer.Argument(metavar="V1", min=1, help="The version to begin with.")],
    new: Annotated[int, typer.Argument(metavar="V2", min=1, help="The one to compare it with.")],
    asking: Asking,
    form: Form,
) -> None:
    """Say which error patterns another version of fingerprints would merge, and which split.

    It is computed from the signatures of all errors that there are; nothing changes.

    Examples:

        spanledger errors compare 1 2
    """
    with open_source(asking) as source:

        def ask() -> dict[str, Any]:
            asked = {**asking.of_views(), "old": str(old), "new": str(new)}
            return dict(source.ask("errors/compare", asked))

        write(ask, form, _drawn)


def _drawn(found: Document) -> RenderableType:
    head = (
        f"{found['signatures']} errors are {found['before']} patterns by version {found['old']}, "
        f"{found['after']} by version {found['new']}"
    )
    lines = [Text(head)]
    for name, told in (("merged", "would be one"), ("split", "would be several")):
        lines.append(Text(f"\n{found[f'{name}_count']} {told}", style="bold"))
        for one in found[name]:
            lines.append(Text(f"{one['fingerprint']}  {one['says'][:100]}"))
            lines += [Text(f"    {other}") for other in one["others"]]
    return Group(*lines)
