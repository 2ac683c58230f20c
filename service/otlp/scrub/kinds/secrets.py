"""What opens a door: passwords, keys, tokens, cookies."""

import base64
import binascii
from typing import Final

import re2

from service.otlp.scrub.rule import Rule, harmless, has_digit, whole

TOKEN: Final = "token"
PASSWORD: Final = "password"

_KEY: Final = (
    r"(?:password|passwd|passphrase|passcode|(?:\b|_)(?:pass|pwd|pin)|secret|token"
    r"|api[_\- ]?key|access[_\-]?key(?:[_\-]?id)?|secret[_\-]?(?:access[_\-]?)?key"
    r"|private[_\-]?key|account[_\-]?key|shared[_\-]?(?:access[_\-]?)?key|app[_\-]?key"
    r"|license[_\-]?key|signing[_\-]?key|encryption[_\-]?key|client[_\-]?secret"
    r"|auth[_\-]?key|credentials?|session[_\-]?(?:id|key)|jsessionid|phpsessid|(?:\b|_)(?:sid|otp))"
)
_BARE: Final = r"[^\s\"'&,;<>(){}\x00]+"
_SECRET: Final = (
    rf"(?:\\\"[^\"\x00]+\"|\"[^\"\x00]+\"|'[^'\x00]+'|(?i:bearer|basic)[ \t]+{_BARE}|{_BARE})"
)
_KEYED: Final = rf"(?i:{_KEY}\\?[\"']?)[ \t]?(?:[=:]|=>|:=)[ \t]?"
_KEYED_PARTS: Final = re2.compile(f"({_KEYED})({_SECRET})")

_PREFIXES: Final = (
    r"gh[pousr]_|github_pat_|gl(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent|oas|ffct)-|xox[abcdeoprs]-"
    r"|xapp-|hf_|npm_|pypi-|AIza|GOCSPX-|ya29\.|(?:[spr]k|rk)_(?:live|test)_|whsec_|dckr_pat_"
    r"|dop_v1_|doo_v1_|dor_v1_|shp(?:at|ca|pa|ss)_|sq0[a-z]{3}-|SG\.|key-[0-9a-z]{20}|hv[sbr]\."
    r"|glsa_|glc_|lin_api_|ntn_|sntry[su]_|NRAK-|NRII-|NRJS-|HRKU-|fo1_|fm[12]_|PMAK-|figd_|gsk_"
    r"|r8_|xai-|pplx-|rubygems_|AKCp|dapi[0-9a-f]{20}|dp\.(?:pt|st|ct|sa)\.|EAACEdEose0cBA|AQoD"
    r"|pscale_(?:tkn|pw|oauth)_|sbp_|sb_secret_|tfp_|LTAI|AKID|ATATT3|ATCTT3|ATBB|cio_|CCIPAT_"
    r"|v1\.0-[0-9a-f]{20}|duffel_(?:live|test)_|EZAK|EZTK|FLWSECK|secret_|rnd_|p8e-|ops_eyJ"
)

_LETTERS: Final = 37
"""The length of a key of Hugging Face: `hf_` and 34 letters."""


def _url_password(match: bytes, before: bytes, after: bytes) -> bytes | None:
    colon = match.index(b":", len(b"://"))
    return match[: colon + 1] + b"[password]@"


def _keyed(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A word that names a secret and its value; `token: ` before prose in a sentence is not."""
    found = _KEYED_PARTS.fullmatch(match)
    head, secret = found.group(1), found.group(2)
    is_password = any(word in head.lower() for word in (b"pass", b"pwd"))
    kind = b"[password]" if is_password else b"[token]"
    if secret.startswith(b'\\"'):
        return bytes(head + b'\\"' + kind + b'\\"')
    quote = secret[:1] if secret[:1] in (b'"', b"'") else b""
    return bytes(head + quote + kind + quote)


def _credential(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`Bearer …` in prose is followed by words, not by a credential."""
    scheme, _, value = match.partition(match[6:7])
    if len(value) < 20 and value.isalpha():
        return None
    return scheme + match[6:7] + b"[token]"


def _prefixed_key(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A key has digits; `sk-learn-something-else` has not. Those of Hugging Face are letters."""
    letters = match.startswith(b"hf_") and len(match) == _LETTERS and match[3:].isalpha()
    return b"[token]" if letters or has_digit(match) else None


def _bot(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return b"bot[token]" if match.startswith(b"bot") else b"[token]"


def _basic(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return match[: match.lower().index(b"basic") + 5] + b" [token]"


def _user_and_password(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`Basic …` without its header: a name, a colon and a password, in base64."""
    value = match[6:]
    try:
        plain = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return None
    return match[:6] + b"[token]" if b":" in plain and plain.isascii() else None


def _command_password(match: bytes, before: bytes, after: bytes) -> bytes | None:
    head = match[: max(match.rfind(b" "), match.rfind(b"=")) + 1]
    return head + b"[password]"


def _told_password(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """`the password is required` tells none."""
    return _command_password(match, before, after) if has_digit(match) else None


def _parameter(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return match[: match.index(b"=") + 1] + b"[token]"


def _command_user(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return match[: match.rindex(b":") + 1] + b"[password]"


def _cookies(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return match[: match.index(b":") + 1] + b" [token]"


def _web_hook(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """Who knows the address may write to the channel."""
    if match.startswith(b"discord"):
        return match[: match.rindex(b"/") + 1] + b"[token]"
    return match[: match.index(b"/services/") + 10] + b"[token]"


def _attached(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return match[: match.rindex(b" -p") + 3] + b"[password]"


def secret_rules() -> list[Rule]:
    """In the order in which they are asked."""
    return [*_credential_rules(), *_key_rules(), *_named_rules(), *_command_rules()]


def _credential_rules() -> list[Rule]:
    """In URLs, headers and key files."""
    return [
        Rule(
            PASSWORD,
            r"://[^\s/:@\x00]{0,64}:[^\s/?#\x00]{1,256}@",
            _url_password,
        ),
        Rule(
            TOKEN,
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----[^\x00\-]*"
            r"(?:-----END [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----)?",
            whole(TOKEN),
        ),
        Rule(TOKEN, r"\b(?i:set-)?(?i:cookie):[ \t]?[^\r\n\x00]+", _cookies),
        Rule(TOKEN, r"(?i:\bbearer)[ \t:][A-Za-z0-9\-._~+/]{8,}=*", _credential),
        Rule(
            TOKEN,
            r"(?i:\bauthorization[\"']?\s*[:=]\s*[\"']?basic\s+)[A-Za-z0-9+/]{4,}=*", _basic,
        ),
        Rule(TOKEN, r"\b(?i:basic) [A-Za-z0-9+/]{8,}=*", _user_and_password),
        Rule(
            TOKEN,
            r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)*", whole(TOKEN)
        ),
    ]  # fmt: skip


def _key_rules() -> list[Rule]:
    """Keys that their provider's form gives away."""
    return [
        Rule(TOKEN, r"\bA(?:KIA|SIA|GPA|IDA|ROA|NPA|NVA|BIA|CCA)[A-Z0-9]{16}\b", whole(TOKEN)),
        Rule(TOKEN, rf"\b(?:{_PREFIXES})[A-Za-z0-9_\-.]{{10,}}", _prefixed_key),
        Rule(TOKEN, r"\bsk-[A-Za-z0-9_\-]{16,}", _prefixed_key),
        Rule(TOKEN, r"(?:\b|\bbot)[0-9]{8,10}:AA[A-Za-z0-9_\-]{33}\b", _bot),  # Telegram
        Rule(  # Discord
            TOKEN, r"\b[MNO][A-Za-z0-9]{23,27}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,45}\b",
            whole(TOKEN),
        ),
        Rule(TOKEN, r"\.atlasv1\.[A-Za-z0-9_\-]{40,}", whole(TOKEN)),  # Terraform
        Rule(TOKEN, r"\bSK[0-9a-f]{32}\b", whole(TOKEN)),  # Twilio
        Rule(TOKEN, r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}", whole(TOKEN)),
        Rule(
            TOKEN,
            r"hooks\.slack\.com/services/[A-Za-z0-9/_\-]{8,}"
            r"|discord(?:app)?\.com/api/webhooks/[0-9]{15,20}/[A-Za-z0-9_\-]{40,}",
            _web_hook,
        ),
    ]  # fmt: skip


def _named_rules() -> list[Rule]:
    """Behind a word that says what follows."""
    return [
        Rule(
            TOKEN,
            r"(?i:[?&;](?:x-[a-z]{3,4}-)?(?:signature|sig|security-token)=)[^&\s\"'\x00]+"
            r"|\bsig=[A-Za-z0-9%+/\-_]{40,}=*",
            _parameter,
        ),
        Rule(TOKEN, r"\bPublicKeyToken=[0-9a-f]{16}\b", harmless),
        Rule(TOKEN, _KEYED + _SECRET, _keyed),
        Rule(PASSWORD, r"(?i:\bpassword (?:is|was)) [^\s\x00]+", _told_password),
    ]


def _command_rules() -> list[Rule]:
    """In command lines."""
    return [
        Rule(
            PASSWORD, r"(?i:--?(?:password|passwd|pass|pwd)[ \t])[^\s\-\x00][^\s\x00]*",
            _command_password,
        ),
        Rule(
            PASSWORD, r"(?:\B-u|--user)[ =][A-Za-z0-9._%+@\-]{1,64}:[^\s\"'\x00]+", _command_user
        ),
        Rule(
            PASSWORD,
            r"\bmysql(?:dump|admin)?\b[^\x00\n|;]{0,80} -p[^\s\-\x00][^\s\x00]*", _attached,
        ),
    ]  # fmt: skip
