"""Version 2: the sender's own identity, else the stack, else type and message, else the message.

With a stack the frames of the application decide, with the types that caused each other, their
codes, and what the error and its root say; a library's frames only where there are no others.
"""

from typing import Final

from projections.errors.fingerprints.fingerprint import Fingerprint, made_of
from projections.errors.signature import Part, Signature
from projections.errors.stacks.frame import short_type

APP_FRAMES: Final = 20
LIBRARY_FRAMES: Final = 3
_CHAIN: Final = ("cause", "context")
_NAMELESS: Final = (":", "<module>", "<main>", "{closure}")
_GROUPS: Final = ("ExceptionGroup", "AggregateError", "AggregateException")


def fingerprint(signature: Signature) -> Fingerprint:
    """The identity of an error by version 2."""
    if signature.own:
        return made_of("own", [("own", signature.own)])
    frames = deciding_frames(signature)
    thrown = signature.thrown
    basis = "stack" if frames else "type and message" if thrown.type else "message"
    if not frames and not thrown.type and not thrown.template and not thrown.codes:
        basis = "nothing"
    components = [
        ("type", short_type(thrown.type)), ("frames", frames),
        ("message", "" if _is_group(thrown) else thrown.template),
        ("codes", " ".join(thrown.codes)), ("causes", _causes(signature)),
        ("members", _members(signature)),
    ]  # fmt: skip
    return made_of(basis, components, frames)


def deciding_frames(signature: Signature) -> str:
    """The frames that count, a line each; empty without a stack.

    Where the application's innermost function has no name of its own, what it called counts, too.
    """
    for part in signature.parts:
        own = [frame for frame in part.frames if not frame.startswith("~") and frame != ":"]
        if own:
            called = part.frames[max(part.frames.index(own[0]) - 1, 0)]
            if called.startswith("~") and own[0].endswith(_NAMELESS):
                own.insert(0, called)
            return "\n".join(own[:APP_FRAMES])
    return "\n".join(frame[1:] for frame in signature.thrown.frames[:LIBRARY_FRAMES])


def _causes(signature: Signature) -> str:
    """Types and codes of what it came from, with what the root says."""
    chain = [part for part in signature.parts[1:] if part.relation in _CHAIN]
    told = [" ".join((short_type(part.type), *part.codes)) for part in chain]
    return "\n".join([*told, chain[-1].template]) if chain else ""


def _members(signature: Signature) -> str:
    """The kinds of errors in a group, whatever their number and order."""
    members = {
        " ".join((short_type(part.type), *part.codes, part.template))
        for part in signature.parts[1:]
        if part.relation == "member"
    }
    return "\n".join(sorted(members))


def _is_group(part: Part) -> bool:
    return part.type.endswith(_GROUPS)
