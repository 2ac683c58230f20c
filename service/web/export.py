"""Tables as files for spreadsheets."""

import csv as writer
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Response

from service.web.visit import Table

LIMIT: Final = 1000
"""Rows of a file; `cursor` goes on in the next one."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv(table: Table) -> Response[Any]:
    """The records of a table, a line each; fields of fields have dotted names.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    rows = [dict(_flat("", msgspec.to_builtins(item))) for item in table.items]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    out = writer.DictWriter(text, columns, lineterminator="\r\n")
    out.writeheader()
    out.writerows(rows)
    return Response(
        text.getvalue(), media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": f'attachment; filename="{table.name}.csv"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )  # fmt: skip


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}" if name else key, each)
    elif isinstance(value, list):
        yield name, _safe(" ".join(str(each) for each in value))
    else:
        yield name, _safe(value) if isinstance(value, str) else value


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
