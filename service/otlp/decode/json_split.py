"""Taking a JSON request apart that does not fit its types as a whole.

Every level is read with what is under it left as bytes, so that what is wrong costs only what
holds it: a span, or a scope or resource whose own fields are wrong, with the spans under it. Each
event is then read by the same typed parser as a good request, whatever its size.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from events.errors import BadInput
from service.otlp.decode import json_types as wire
from service.otlp.decode.json_values import Fault

_NOT_UTF8: Final = "a string is not UTF-8"
_SURROGATES: Final = re.compile(
    # An odd number of backslashes, then a pair of surrogates or half of one.
    rb"(?<!\\)((?:\\\\)*+)\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..))",
    re.DOTALL,
)

_LOOKED_AT: Final = 100
_NULL: Final = b"null"
_KNOWN: Final = {
    name for kind in (wire.RawRequest, wire.RawResource) for name in kind.__struct_encode_fields__
}

Message = TypeVar("Message")
_Head = tuple[wire.Resource | None, str | None] | Fault
Context = tuple[wire.Resource | None, str | None, wire.Scope | None, str | None]


@dataclass(frozen=True, slots=True)
class Unread:
    """A resource or scope that breaks the rules, with the events under it."""

    fault: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Part(Generic[Message]):
    """The events of one resource and scope; `context` is both, each with its schema URL."""

    context: Context
    events: list[msgspec.Raw]
    decoder: "_Decoder[Message]"

    def read(self) -> Iterator[tuple[Message | Fault, str]]:
        """Each event, or what is wrong with it, with a name to refuse it by."""
        kind = self.decoder.name
        for number, data in enumerate(self.events):
            name = f"{kind} {number} of its scope"
            try:
                yield self.decoder.read(data) or Fault("is null"), name
            except Fault as exc:
                yield exc, name


Group = Unread | Part[Message]


class _Decoder(Generic[Message]):
    """Reads one kind of message from its bytes."""

    def __init__(self, kind: type[Message]) -> None:
        self.name = kind.__name__
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, data: msgspec.Raw) -> Message | None:
        """The message; None if there is none.

        Raises:
            Fault: it breaks the rules.
        """
        if not data or (len(data) == len(_NULL) and bytes(data) == _NULL):
            return None
        try:
            return self._decode(data)
        except UnicodeDecodeError:
            raise Fault(_NOT_UTF8) from None
        except RecursionError:
            raise Fault("is nested too deeply") from None
        except msgspec.ValidationError as exc:
            raise Fault(str(exc)) from None
        except msgspec.DecodeError as exc:
            is_text = "UTF-8" in str(exc) or "surrogate" in str(exc)
            raise Fault(_NOT_UTF8 if is_text else str(exc)) from None


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_request = msgspec.json.Decoder(wire.RawRequest)
_resources = _Decoder(wire.RawResource)
_scopes = _Decoder(wire.RawScope)
_resource = _Decoder(wire.Resource)
_scope = _Decoder(wire.Scope)
_text = _Decoder(str)
_span = _Decoder(wire.Span)
_record = _Decoder(wire.LogRecord)


def taken_apart(body: bytes) -> wire.RawRequest:
    """The outermost level of `body`.

    Raises:
        BadInput: this is no OTLP/JSON at all.
    """
    try:
        return _request.decode(body)
    except RecursionError:
        raise BadInput("the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        marked = _SURROGATES.sub(_mark_half_pair, body)
        if marked == body:
            raise BadInput(f"the body is no OTLP/JSON: {exc}") from None
    return taken_apart(marked)


def _mark_half_pair(escape: re.Match[bytes]) -> bytes:
    """Half a surrogate pair is no text: bad bytes in its place fail in their own event only."""
    return escape[1] + b"\xff" if escape["half"] else escape[0]


def spans(request: wire.RawRequest) -> Iterator[Group[wire.Span]]:
    """The spans of `request`, group by group."""
    for data in request.resource_spans or ():
        yield from _groups(data, _span, b'"spanId"')


def log_records(request: wire.RawRequest) -> Iterator[Group[wire.LogRecord]]:
    """The log records of `request`, likewise."""
    for data in request.resource_logs or ():
        yield from _groups(data, _record, b'"timeUnixNano"')


def _groups(data: msgspec.Raw, decoder: _Decoder[Message], mark: bytes) -> Iterator[Group[Message]]:
    try:
        resource = _resources.read(data) or wire.RawResource()
    except Fault as exc:
        yield Unread(str(exc), "a resource", _count(data, mark))
        return
    head: _Head
    try:
        head = _resource.read(resource.resource), _text.read(resource.schema_url)
    except Fault as exc:
        head = exc
    for scopes in (
        resource.scope_spans, resource.instrumentation_library_spans,
        resource.scope_logs, resource.instrumentation_library_logs,
    ):  # fmt: skip
        for scope_data in scopes or ():
            yield from _group(scope_data, head, decoder, mark)


def _group(
    data: msgspec.Raw, head: _Head, decoder: _Decoder[Message], mark: bytes
) -> Iterator[Group[Message]]:
    try:
        scope = _scopes.read(data) or wire.RawScope()
    except Fault as exc:
        yield Unread(str(exc), "a scope", _count(data, mark))
        return
    events = [*(scope.spans or ()), *(scope.log_records or ()), *(scope.logs or ())]
    if not events:
        return
    try:
        if isinstance(head, Fault):
            raise head
        said = _scope.read(scope.scope) or _scope.read(scope.instrumentation_library)
        yield Part((*head, said, _text.read(scope.schema_url)), events, decoder)
    except Fault as exc:
        yield Unread(str(exc), "the resource or scope of a group", len(events))


def unread_bytes(body: bytes) -> int:
    """How many bytes of a well-formed `body` are in lists and objects that are not known.

    Only asked where nothing was read, and so only of its first resources.
    """
    size = 0
    request = _request.decode(body)
    resources = (*(request.resource_spans or ()), *(request.resource_logs or ()))
    for resource in (body, *resources[:_LOOKED_AT]):
        try:
            fields = _fields.decode(resource) or {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # a name that is no text
        for name, value in fields.items():
            if name not in _KNOWN and bytes(memoryview(value)[:1]) in (b"{", b"["):
                size += len(value)
    return size


def _count(data: msgspec.Raw, mark: bytes) -> int:
    """About how many events are in `data`, which cannot be taken apart."""
    return max(bytes(data).count(mark), 1)
