"""The fingerprint that releases before version 2 gave: links to it shall find their pattern.

Type and every frame, or type and message; made of texts, not of signatures. It is computed once for
a signature, when this is met first.
"""

import re
from typing import Final

from projections.errors.fingerprints.fingerprint import digest_of

STACK_LIMIT_CHARS: Final = 64_000
MESSAGE_LIMIT_CHARS: Final = 1_000

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


def former_fingerprint(error_type: str | None, message: str, stack: str = "") -> str:
    """The 32 hex digits by which older releases named an error."""
    part = _frames_part(stack[:STACK_LIMIT_CHARS]) if stack else ""
    frames = _frames(part) if part else []
    if frames:
        return digest_of("stack", error_type or "", "\n".join(frames))
    return digest_of("message", error_type or "", _normal(message[:MESSAGE_LIMIT_CHARS]))


def _normal(message: str) -> str:
    return _NOISE.sub(lambda match: f"<{match.lastgroup}>", message).strip()


def _frames_part(stack: str) -> str:
    """The stack without the line that holds the message: last in Python, first elsewhere."""
    stack = stack.strip("\n")
    if stack.startswith("Traceback") or '\n  File "' in stack or stack.startswith('  File "'):
        return stack[: stack.rfind("\n")] if "\n" in stack else stack
    return stack[stack.find("\n") + 1 :] if "\n" in stack else ""


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
        frames = [
            _normal(line[:MESSAGE_LIMIT_CHARS]) for line in part.splitlines()[:100] if line.strip()
        ]
    # Recursion of any depth is one error.
    return [frame for i, frame in enumerate(frames) if i == 0 or frame != frames[i - 1]]


def _tail(path: str) -> str:
    """The last two parts of a path: installations differ in what stands before."""
    return "/".join(path.replace("\\", "/").split("/")[-2:])


def _without_addresses(frame: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+|\$\$Lambda\S*?(?=\.|\()", "<address>", frame)
