"""How a function becomes a command: shared options as records, errors as exit codes.

    @app.command()
    @command
    def status(asking: Asking, ...) -> None: ...

Every parameter whose type is a dataclass is replaced by that class's fields, each an annotated
typer option with a default; the function gets the record. A record that is made at run time
(`service.cli.filters`) is named beside: `@partial(command, options=options_of(…))`. What the
command raises is told in one line on standard error and ends in the exit codes of
`service.cli.output.exits`.
"""

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from events.errors import SpanledgerError
from service.cli.output import exits, streams


def command(function: Callable[..., None], **made: type[Any]) -> Callable[..., None]:
    """`function` as typer takes it: with the fields of its records as options.

    Args:
        made: records in place of the types of the parameters of these names.
    """
    hints = get_type_hints(function, include_extras=True) | made
    records: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            records[parameter.name] = hint
            parameters += _options(hint)
        else:
            parameters.append(parameter.replace(annotation=hint))

    def run(**given: Any) -> None:
        for name, record in records.items():
            fields = [field.name for field in dataclasses.fields(record)]
            given[name] = record(**{field: given.pop(field) for field in fields})
        with_exit_code(function, given)

    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in keywords}
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__module__, run.__qualname__ = function.__module__, function.__qualname__
    return run


def _options(record: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(record)
    ]


def with_exit_code(function: Callable[..., None], given: dict[str, Any]) -> None:
    """Call `function`; end the process as the error says, quietly where the reader left."""
    try:
        function(**given)
        sys.stdout.flush()
    except SpanledgerError as exc:
        streams.complain(str(exc))
        raise typer.Exit(exits.exit_code(exc)) from exc
    except BrokenPipeError as exc:
        # Python flushes standard output once more at exit; there is nobody to read it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(exits.BROKEN_PIPE) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(exits.INTERRUPTED) from exc
