"""What of an error decides: the same for all its occurrences, stored once.

Fingerprints, categories and suggestions are computed from signatures, so that a changed rule
recomputes thousands of these, not millions of attempts.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from events.bounded import BoundedDict, remembered, text_bytes
from projections.errors.codes import ATTRIBUTES, codes_of
from projections.errors.normal.file import file_key
from projections.errors.normal.function import function_key
from projections.errors.normal.message import normal_message
from projections.errors.normal.recursion import folded
from projections.errors.record import Record
from projections.errors.stacks.frame import Frame, Link, split_head
from projections.errors.stacks.reading import clean, read_stack

OWN_KEYS: Final = ("error.fingerprint", "exception.fingerprint", "fingerprint")
"""Attributes in which a sender says which error it is."""
SIGNATURE_BYTES: Final = 4_000
"""What one takes in memory, roughly."""
KEPT_BYTES: Final = 16 << 20
_COUNTED: Final = (*OWN_KEYS, *ATTRIBUTES)
FRAMES_LIMIT: Final = 40
LINKS_LIMIT: Final = 12


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One error of a chain. Frames begin where it was raised; a library's begin with `~`."""

    type: str
    template: str
    frames: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    relation: str = "thrown"


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error without what varies: what got out, and what it came from."""

    parts: tuple[Part, ...]
    own: str = ""  # the sender's own identity of the error

    @property
    def thrown(self) -> Part:
        """The error that got out."""
        return self.parts[0]


_Told = tuple[tuple[str, str], ...]
_Key = tuple[str, str, str, str, tuple[str, ...], bool, _Told]
_kept: BoundedDict[_Key, Signature] = BoundedDict(KEPT_BYTES)
_NO_ATTRIBUTES: Final[_Told] = ()


def signature_of(record: Record) -> Signature:
    """The signature of a failure; those met lately are kept.

    They are found by the stack without the message in it, and by the message without what varies:
    so an error whose message is never the same twice is read once.
    """
    attributes = record.attributes
    told = (
        tuple([(name, str(attributes[name])) for name in _COUNTED if name in attributes])
        if attributes
        else _NO_ATTRIBUTES
    )
    kind, message, stack = record.type, record.message, record.stacktrace
    template, codes = said(message)
    if message and stack:
        head, _, tail = stack.partition(message)
    elif stack or "\n" in message:
        head, tail = stack or message, ""
    else:
        head, tail = "", "" if kind else split_head(message)[0]
    key = kind, head, tail, template, codes, "\n" in message, told
    found = _kept.get(key)
    if found is None:
        found = _signature_of(record)
        _kept.keep(key, found, 2 * text_bytes(kind, head, tail, template))
    return found


@remembered(KEPT_BYTES)
def said(message: str) -> tuple[str, tuple[str, ...]]:
    """What a message says without what varies, and its codes."""
    message = clean(message.strip())
    return normal_message(message), codes_of(message, {})


def _signature_of(record: Record) -> Signature:
    chain = _chain(record.stacktrace) if record.stacktrace else None
    kind, message = record.type.strip(), record.message
    if not chain and "\n" in message:
        chain = _chain(message)
        if chain:
            message = chain.message
    if not message and chain:
        message = chain.message
    if not kind:
        kind, message = (chain.type, message) if chain and chain.type else split_head(message)
    elif chain and chain.type.endswith(kind):
        kind = chain.type  # its qualified name
    message = _without_type(message.strip(), kind)
    codes = codes_of(message, record.attributes)
    frames, others = (chain.frames, chain.others) if chain else ((), ())
    thrown = Part(type_key(kind), normal_message(clean(message)), frames, codes)
    return Signature((thrown, *others), own_fingerprint(record.attributes))


def own_fingerprint(attributes: Mapping[str, Any]) -> str:
    """What the sender says is the error's identity; empty if it says nothing."""
    for key in OWN_KEYS:
        value = attributes.get(key)
        if value:
            return ":".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return ""


def _without_type(message: str, kind: str) -> str:
    """A message that does not begin with its own type."""
    first, colon, rest = message.partition(": ")
    if colon and kind and (kind == first or kind.endswith((f".{first}", f"::{first}"))):
        return rest.strip()
    return message


class _Chain(NamedTuple):
    """What a stack trace gives to a signature."""

    type: str
    message: str
    frames: tuple[str, ...]
    others: tuple[Part, ...]


@remembered(KEPT_BYTES)
def _chain(stacktrace: str) -> _Chain | None:
    stack = read_stack(stacktrace)
    if stack is None:
        return None
    first, *others = stack.links[:LINKS_LIMIT]
    parts = (
        Part(
            type_key(link.type), normal_message(link.message),
            normal_frames(link, stack.language), codes_of(link.message, {}), link.relation,
        )
        for link in others
    )  # fmt: skip
    frames = normal_frames(first, stack.language)
    return _Chain(first.type, first.message, frames, tuple(parts))


def normal_frames(link: Link, language: str) -> tuple[str, ...]:
    """The frames as they are in every release, recursion folded, at most forty."""
    keys = [key for frame in link.frames if (key := frame_key(frame, language))]
    return tuple(folded(keys)[:FRAMES_LIMIT])


def frame_key(frame: Frame, language: str) -> str:
    """A frame without lines, folders and made-up names; empty for what says nothing."""
    function = function_key(language, frame.function)
    mark = "" if frame.in_app else "~"
    if language in ("java", "go", "rust", "dotnet") and function:
        return mark + function
    if language == "php" and ("->" in function or "::" in function):
        return mark + function
    file = file_key(frame.file)
    return f"{mark}{file}:{function}" if file or function else ""


def type_key(name: str) -> str:
    """A type's name without what a runtime makes up."""
    name = name.partition(" [")[0] if name.endswith("]") else name
    return function_key("java", name) if "$" in name else name.removeprefix("\\")


encode_signature = msgspec.msgpack.Encoder().encode
decode_signature = msgspec.msgpack.Decoder(Signature).decode
