"""Commands that list records, made of the table and the question that a view declares."""

from collections.abc import Callable, Sequence
from typing import Any

from projections.endpoints import ENDPOINTS
from projections.query.table import Column, Table
from service.cli.command import command
from service.cli.filters import Filters, filters_of, options_of
from service.cli.options import Asking, Form
from service.cli.output.documents import drawing_of_list, write
from service.cli.source.source import open_source


def list_command(table: Table) -> Callable[..., None]:
    """The command of a table."""
    (endpoint,) = (one for one in ENDPOINTS if one.path == table.path)
    options = options_of(endpoint.asks)

    def answer(options: Any, asking: Asking, form: Form) -> None:
        show_list(
            table.path, filters_of(options), table.columns, asking, form, nothing=table.nothing
        )

    answer.__name__ = table.name
    answer.__doc__ = "\n\n".join(
        [table.about, "Examples:", *(f"    {example}" for example in table.examples)]
    )
    return command(answer, options=options)


def show_list(
    resource: str,
    filters: Callable[[], Filters],
    columns: Sequence[Column],
    asking: Asking,
    form: Form,
    *,
    nothing: str,
) -> None:
    """Ask for the list at `resource` and write it."""
    with open_source(asking) as source:
        write(
            lambda: source.ask(resource, {**asking.of_views(), **filters()}),
            form,
            drawing_of_list(columns, nothing),
        )
