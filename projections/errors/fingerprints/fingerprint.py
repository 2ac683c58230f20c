"""An error's identity with what it was made of."""

import hashlib

import msgspec


class Fingerprint(msgspec.Struct, frozen=True):
    """Which error it is, by one version."""

    digest: str  # 32 hex digits
    stack_hash: str | None  # 16 hex digits of the frames; None without any
    basis: str  # own, stack, type and message, message, nothing
    components: tuple[tuple[str, str], ...]  # name and value of each, in the order they count


def made_of(basis: str, components: list[tuple[str, str]], frames: str = "") -> Fingerprint:
    """The fingerprint of components; those that are empty do not count."""
    told = tuple((name, value) for name, value in components if value)
    texts = [text for pair in told for text in pair]
    return Fingerprint(
        digest_of(basis, *texts), digest_of("frames", frames)[:16] if frames else None, basis, told
    )


def digest_of(*parts: str) -> str:
    """32 hex digits for these texts in this order."""
    data = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).hexdigest()
