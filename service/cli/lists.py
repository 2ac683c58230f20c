"""What all commands that list records share: from options to a question, from answer to table."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from events.times import rfc3339
from service.cli.options import Asking, Form, Paging, Sorting, Traits, Window
from service.cli.output.answers import drawing_of_list, write
from service.cli.output.render import Column
from service.cli.output.times import parse_moment
from service.cli.source.source import open_source

Filters = dict[str, Any]


def question(*records: Window | Sorting | Paging | Traits, **filters: Any) -> Callable[[], Filters]:
    """The filters of a list as the API names them; ages are resolved each time it is asked."""

    def filled() -> Filters:
        asked = dict(filters)
        for record in records:
            if isinstance(record, Window):
                asked |= window(record)
            else:
                asked |= dataclasses.asdict(record)
        return {name: value for name, value in asked.items() if value is not None}

    return filled


def window(record: Window) -> dict[str, str | None]:
    """`since` and `until` in RFC 3339."""
    now_ns = time.time_ns()
    given = {"since": record.since, "until": record.until}
    return {name: rfc3339(parse_moment(text, now_ns)) for name, text in given.items() if text}


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
