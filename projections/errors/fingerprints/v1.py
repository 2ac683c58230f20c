"""Version 1: the type and every frame, or the type and the message.

Kept to compare with. It tells causes apart by nothing, and splits when a library moves a frame.
"""

from projections.errors.fingerprints.fingerprint import Fingerprint, made_of
from projections.errors.signature import Signature


def fingerprint(signature: Signature) -> Fingerprint:
    """The identity of an error by version 1."""
    thrown = signature.thrown
    frames = "\n".join(frame.removeprefix("~") for frame in thrown.frames)
    if frames:
        return made_of("stack", [("type", thrown.type), ("frames", frames)], frames)
    return made_of("message", [("type", thrown.type), ("message", thrown.template)])
