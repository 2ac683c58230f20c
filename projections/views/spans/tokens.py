"""Tokens: 32-bit digests of what a span can be found by, `key=value` of one tenant.

A token tells nothing for certain: others may have the same digest, and values count by their first
bytes only. The native module makes the same tokens of a row (`native/module.c`).
"""

import base64
import math
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

from events.schema import Attributes, Context, Span

VALUE_BYTES: Final = 256
"""So much of a value counts; longer ones are compared in the log."""
SERVICE: Final = "\x01service"
NAME: Final = "\x01name"
KIND: Final = "\x01kind"
STATUS: Final = "\x01status"
SCOPE: Final = "\x01scope"
VERSION: Final = "\x01version"
ANY: Final = "\x01span"
RESOURCE: Final = "resource."
"""What stands before a key that is looked for in the resource alone."""
SERVICE_NAME: Final = "service.name"
_WHOLE: Final = 1e21
"""Numbers from here on are written with an exponent, as JavaScript does it."""


def text_of(value: Any) -> str:
    """A value as Jaeger compares it: as text. Lists and maps are JSON, bytes base64."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return "" if value is None else msgspec.json.encode(value, order="sorted").decode()


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < _WHOLE:
        return f"{value:.0f}"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent):+d}" if mark else text


@lru_cache(maxsize=1024)
def seed_of(tenant: str) -> int:
    """What sets the tokens of a tenant apart."""
    return zlib.crc32(tenant.encode())


def token(seed: int, key: str, text: str) -> int:
    """The token of a key and a value's text."""
    head = zlib.crc32(key.encode() + b"\0", seed)
    return zlib.crc32(text[:VALUE_BYTES].encode()[:VALUE_BYTES], head)


def service_of(context: Context) -> str:
    """The name of the service; empty if the resource has none."""
    return text_of(context.resource_attributes.get(SERVICE_NAME))


def context_tokens(seed: int, context: Context) -> Iterator[int]:
    """What each span is found by that has this resource and scope."""
    yield token(seed, ANY, "")
    yield token(seed, SERVICE, service_of(context))
    yield token(seed, SCOPE, context.scope_name)
    yield token(seed, VERSION, context.scope_version)
    for key, value in context.resource_attributes.items():
        yield token(seed, RESOURCE + key, text_of(value))
    for attributes in (context.resource_attributes, context.scope_attributes):
        yield from _tokens(seed, attributes)


def span_tokens(seed: int, span: Span) -> Iterator[int]:
    """What one span is found by beside that."""
    yield token(seed, NAME, span.name)
    yield token(seed, KIND, str(span.kind))
    yield token(seed, STATUS, str(span.status_code))
    yield from _tokens(seed, span.attributes)
    for event in span.events:
        yield from _tokens(seed, event.attributes)
    for link in span.links:
        yield from _tokens(seed, link.attributes)


def _tokens(seed: int, attributes: Attributes) -> Iterator[int]:
    for key, value in attributes.items():
        yield token(seed, key, text_of(value))
