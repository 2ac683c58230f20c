"""Where people and machines are reached: emails, IP addresses; and UUIDs."""

import ipaddress
from typing import Final

from service.otlp.scrub.rule import WIDE, Rule, harmless, has_digit, whole

EMAIL: Final = "email"
IP: Final = "ip"
UUID: Final = "uuid"

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_FOUR: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP: Final = r"[0-9A-Fa-f]{1,4}"
_HEX: Final = "[0-9A-Fa-f]"

_LOCAL: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-'"
) | frozenset(range(128, 256))
"""What the part of an address before the @ is made of."""
_FILES: Final = frozenset(
    b"png jpg jpeg gif svg webp avif ico bmp tif tiff pdf css scss js mjs cjs jsx ts tsx json map"
    b" html htm xml yaml yml toml txt csv gz tgz whl jar war exe dll so dylib mp3 mp4 webm woff ttf"
    b" rb php java kt cpp hpp log lock service socket timer target".split()
)
"""What ends a file's or a unit's name, and is no domain that people write from."""
_SCALED: Final = frozenset(b"1x 2x 3x 4x".split())


def _email(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`icon@2x.png`, `pkg@1.2.0-rc.dev`, `getty@tty1.service`, `git@host:repo` are no mailboxes."""
    local, sign, domain = match.rpartition(b"@" if b"@" in match else b"%40")
    if not local or not sign:
        return None
    last = domain[domain.rfind(b".") + 1 :].lower()
    is_harmless = (
        last in _FILES
        or domain[: domain.find(b".")] in _SCALED
        or (local == b"git" and after in (b":", b"/"))
        or _is_version(domain)
    )
    return match if is_harmless else b"[email]"


def _is_version(domain: bytes) -> bool:
    """Numbers in its first two parts: `1.2.0-rc.dev`; `163.com` is a domain."""
    if domain[:1].isalpha() and domain[:1] not in b"vV":
        return False
    parts = domain.split(b".")
    return len(parts) > 2 and parts[0].lstrip(b"vV").isdigit() and parts[1].isdigit()


def _ipv6(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`a::b` is a name in C++ and Rust, `x[1::2]` a slice, eight pairs a hardware address."""
    if before == b":" or after.isalnum() or after in (b"_", b":"):
        return None
    if not has_digit(match) or max(map(len, match.split(b":"))) < 3:
        return None
    try:
        ipaddress.IPv6Address(match.decode())
    except ValueError:
        return None
    return b"[ip]"


def _ipv4(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return None if before == b"." else b"[ip]"


_VERSION_WORDS: Final = (
    r"(?:\bv|\bver|version|release|revision|\brev|\bbuild|firmware|driver|\bpatch|upgrade[sd]?"
    r"|\bschema|section|chapter|clause|\boid|\brule|\bstep|\bfigure|\btable)"
)
_PRODUCTS: Final = (
    r"\b(?:chrome|headlesschrome|chromium|crios|edg|edga|edgios|opr|opera|safari|version|firefox"
    r"|yabrowser|vivaldi|samsungbrowser|electron|webkit|applewebkit|trident|ucbrowser|brave)"
)
_ENDINGS: Final = (
    r"(?:\.(?:jar|war|ear|whl|tar|tgz|zip|gz|bz2|xz|dll|exe|deb|rpm|msi|nupkg|so|pkg|dmg|apk|gem"
    r"|egg|vsix)\b|-(?:snapshot|alpha|beta|rc|release|final|preview|dev|pre|post|build|ga|sp|hotfix"
    r"|py[23]|cp3|linux|windows|win|darwin|osx|x64|x86|amd64|arm64|el[6-9]|ubuntu|debian|r[0-9])"
    r"|\+[0-9a-z]|(?:a|b|rc)[0-9])"
)


def _version_rules() -> list[Rule]:
    """Numbers in four parts that are versions; they stand before the addresses."""
    return [
        Rule(
            IP,
            rf"(?i:{_VERSION_WORDS}s?(?:[ _\-]?(?:number|no|id))?[\"']?[ \t]?[:=/# \-]?[ \t]?"
            rf"[\"'(]?v?){_FOUR}\b",
            harmless,
        ),
        Rule(IP, rf"(?i:{_PRODUCTS}/){_FOUR}\b", harmless),
        Rule(IP, rf"(?:[=!~<>]=|\^|~>?) ?{_FOUR}\b", harmless),
        Rule(IP, rf"\b{_FOUR}(?i:{_ENDINGS})", harmless),
        Rule(IP, r"\b[0-9]{1,9}(?:\.[0-9]{1,9}){4,15}\b", harmless),
    ]


def address_rules() -> list[Rule]:
    """Emails and IP addresses."""
    return [
        Rule(
            EMAIL,
            rf"(?:@|%40)[A-Za-z0-9\-{WIDE}]+(?:\.[A-Za-z0-9\-{WIDE}]+)*\.[A-Za-z{WIDE}]{{2,}}",
            _email,
            signs=b"@%",
            head=_LOCAL,
        ),
        *_version_rules(),
        Rule(IP, rf"\b{_GROUP}(?::{_GROUP}){{7}}", _ipv6),
        Rule(IP, rf"\b{_GROUP}(?::{_GROUP}){{0,6}}::(?:{_GROUP}(?::{_GROUP}){{0,6}})?", _ipv6),
        Rule(IP, rf"\b{_FOUR}\b", _ipv4),
    ]


def uuid_rule() -> Rule:
    """UUIDs in their usual spelling."""
    pattern = rf"\b{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}\b"
    return Rule(UUID, pattern, whole(UUID))
