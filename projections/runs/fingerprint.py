"""Which failures are the same error: type and normalised stack, else normalised message.

A stack is reduced to its frames: file and function, without line numbers, addresses and source
text, so that a release that moved a line keeps the pattern. Failures repeat, so results are kept
by (type, frames part of the stack); the part that holds the message is left out of that key.
"""

import hashlib
import re
from typing import Final, NamedTuple

from events.bounded import remembered

KEPT_BYTES: Final = 16 << 20
"""Of stacks, and of messages, that were met lately."""
STACK_LIMIT_CHARS: Final = 64_000
MESSAGE_LIMIT_CHARS: Final = 1_000
SAMPLE_LIMIT_CHARS: Final = 4_000

_PYTHON = re.compile(r'^\s*File "([^"\n]*)", line \d+(?:, in (.*))?$', re.M)
_AT = re.compile(r"^\s*at (.+)$", re.M)
_GO = re.compile(r"^\s*(\S+\.go):\d+", re.M)
_RUBY = re.compile(r"^\s*(?:from )?(\S+\.rb):\d+:in [`'](.+)'$", re.M)
_LINE_NUMBERS = re.compile(r":\d+(?::\d+)?\b")
_NOISE = re.compile(
    r"(?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)"
    r"|(?P<text>'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`)"
    r"|(?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*[0-9])[0-9a-fA-F]{8,}\b)"
    r"|(?P<number>\d+(?:[.,:]\d+)*)"
)


class Fingerprint(NamedTuple):
    """An error's identity and what is the same for all its occurrences."""

    digest: str  # 32 hex digits
    error_type: str | None
    stack_hash: str | None  # 16 hex digits; None without a stack
    normal_message: str  # empty where the stack decides
    sample_stack: str | None  # the normalised frames, one a line


def fingerprint(error_type: str | None, message: str, stack: str = "") -> Fingerprint:
    """The identity of an error."""
    frames = _frames_part(stack[:STACK_LIMIT_CHARS]) if stack else ""
    if frames:
        found = _of_stack(error_type, frames)
        if found is not None:
            return found
    return _of_message(error_type, message[:MESSAGE_LIMIT_CHARS])


def normal_message(message: str) -> str:
    """A message with numbers, hex, UUIDs and quoted strings replaced."""
    return _NOISE.sub(lambda match: f"<{match.lastgroup}>", message[:MESSAGE_LIMIT_CHARS]).strip()


def _frames_part(stack: str) -> str:
    """The stack without the line that holds the message: last in Python, first elsewhere."""
    stack = stack.strip("\n")
    if stack.startswith("Traceback") or '\n  File "' in stack or stack.startswith('  File "'):
        return stack[: stack.rfind("\n")] if "\n" in stack else stack
    return stack[stack.find("\n") + 1 :] if "\n" in stack else ""


@remembered(KEPT_BYTES)
def _of_stack(error_type: str | None, part: str) -> Fingerprint | None:
    frames = _frames(part)
    if not frames:
        return None
    normal = "\n".join(frames)
    return Fingerprint(
        _digest("stack", error_type or "", normal),
        error_type,
        _digest("frames", normal)[:16],
        "",
        normal[:SAMPLE_LIMIT_CHARS],
    )


@remembered(KEPT_BYTES)
def _of_message(error_type: str | None, message: str) -> Fingerprint:
    normal = normal_message(message)
    return Fingerprint(_digest("message", error_type or "", normal), error_type, None, normal, None)


def _frames(part: str) -> list[str]:
    if found := _PYTHON.findall(part):
        frames = [f"{_tail(path)} in {function or '?'}" for path, function in found]
    elif found := _AT.findall(part):
        frames = [_LINE_NUMBERS.sub("", _without_addresses(frame)) for frame in found]
    elif found := _GO.findall(part):
        frames = [_tail(path) for path in found]
    elif found := _RUBY.findall(part):
        frames = [f"{_tail(path)} in {function}" for path, function in found]
    else:
        frames = [normal_message(line) for line in part.splitlines()[:100] if line.strip()]
    # Recursion of any depth is one error.
    return [frame for i, frame in enumerate(frames) if i == 0 or frame != frames[i - 1]]


def _tail(path: str) -> str:
    """The last two parts of a path: installations differ in what stands before."""
    return "/".join(path.replace("\\", "/").split("/")[-2:])


def _without_addresses(frame: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+|\$\$Lambda\S*?(?=\.|\()", "<address>", frame)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
