"""Numbers of people: cards, bank accounts, telephones."""

import re
from typing import Final

from stdnum.iso7064 import mod_97_10

from service.otlp.scrub.rule import Rule

CARD: Final = "card"
IBAN: Final = "iban"
PHONE: Final = "phone"

_CARD_LENGTHS: Final = {
    b"1": (15,), b"2": (16, 15), b"3": (16, 15, 14), b"4": (19, 16, 13), b"5": (16,),
    b"6": (19, 18, 17, 16),
}  # fmt: skip
_COUNTRY: Final = (
    r"(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|(?:2[1-69]|35|37|38|42|50|59|67|68|69|80|85|87|88|96|97|99)[0-9])"
)
"""Country calling codes in use (ITU-T E.164, list of assigned codes)."""
_CALLS: Final = re.compile(rb"(?i)(?:tool|function|api|rpc|system|method)")
"""What is called is no person: the number behind is that of the call."""
_PHONE_WORDS: Final = (
    r"(?:\b(?:tool|function|api|rpc|system|method)[ _\-]?calls?"
    r"|\btel|phone|telefon[eo]?|t[eé]l[eé]phone|mobile?|\bcell|handy|\bfax|\bsms|whatsapp|msisdn"
    r"|\bcall(?:ed|ing|er|back)?|\bdial(?:ed|led|ing)?|hotline|\bcontact|\bringing)"
)
_EXTENSION: Final = r"(?:[ ,]{0,2}(?i:x|ext\.?) ?[0-9]{1,6})?"
_TRUNK: Final = (
    r"(?:\b(?:0[1-9](?:[ .\-][0-9]{2}){4}"  # 01 23 45 67 89
    r"|0[0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}"  # 044 123 45 67
    r"|0[1-9][0-9]{1,3}[ /][0-9]{5,8}|0[1-9][0-9]{2,4} [0-9]{3,4} [0-9]{3,4}"  # 0151 4960308
    r"|0[0-9]{1,3}-[0-9]{3,4}[ \-][0-9]{4}|0[2-8][ .][0-9]{4}[ .][0-9]{4}"  # 010-1234-5678
    r"|0[67][0-9]{8}|07[0-9]{9}|01[5-7][0-9]{8,9}|1[3-9][0-9]{9})"  # mobiles written as one
    r"|\(0[0-9]{1,4}\)[ \-/.]?[0-9]{3,8}(?:[ \-.][0-9]{2,5}){0,2}"  # (0121) 496 0348
    r"|\([1-9][0-9]\) ?9?[0-9]{4}-[0-9]{4})"  # (11) 91234-5678
)
"""Inside a country, with its trunk prefix: the usual groups of digits."""
_PHONE_DIGITS: Final = (8, 15)
"""With the country's code; E.164 allows 15."""


def _card(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A card number passes Luhn's check and is no fraction of a number or part of an id."""
    if before in (b".", b"-"):
        return None
    places = [place for place, byte in enumerate(match) if 48 <= byte < 58]
    for length in _CARD_LENGTHS[match[:1]]:
        if length > len(places):
            continue
        end = places[length - 1] + 1
        following = match[end : end + 1] or after
        if not following.isdigit() and following != b"-" and _luhn(match[:end]):
            return b"[card]" + match[end:]
    return None


def _luhn(number: bytes) -> bool:
    digits = [byte - 48 for byte in number if 48 <= byte < 58]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """ISO 13616: the check of ISO 7064 over the whole; a word may follow in capitals."""
    parts = match.split(b" ")
    for count in range(len(parts), 0, -1):
        text = b" ".join(parts[:count])
        number = text.replace(b" ", b"").replace(b"-", b"").decode()
        if 15 <= len(number) <= 34 and mod_97_10.is_valid(number[4:] + number[:4]):
            return b"[iban]" + match[len(text) :]
    return None


def _international(match: bytes, before: bytes, after: bytes) -> bytes | None:
    digits = sum(48 <= byte < 58 for byte in match)
    least, most = _PHONE_DIGITS
    if not least <= digits <= most or before.isalnum() or before in (b"+", b"-", b".", b")"):
        return None
    return b"[phone]" if after != b":" and not after.isdigit() else None


def _national(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """Numbers joined by hyphens on either side are an id."""
    if before.isalnum() or before in (b"-", b".", b"/", b"_", b"+", b"#"):
        return None
    if after.isalnum() or after in (b"-", b"/", b"_"):
        return None
    return b"[phone]"


def _named(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A word says that it is a telephone's number, and it is long enough for one; what goes on
    behind a hyphen is an id."""
    if _CALLS.match(match):
        return match
    if after.isalnum() or after in (b"-", b"_"):
        return None
    start = next(place for place, byte in enumerate(match) if 48 <= byte < 58 or byte in b"+(")
    digits = sum(48 <= byte < 58 for byte in match[start:])
    return match[:start] + b"[phone]" if 6 <= digits <= _PHONE_DIGITS[1] else None


def number_rules() -> list[Rule]:
    """Cards, accounts, telephones."""
    return [
        Rule(
            CARD,
            r"\b(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|2131|1800|3(?:0[0-5]|[4-8][0-9])[0-9]"
            r"|6(?:011|[245][0-9]{2}))[ \-]?[0-9]{4}(?:[ \-]?[0-9]){5,11}\b",
            _card,
        ),
        Rule(
            IBAN,
            r"\b[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?\b", _iban, 4
        ),
        Rule(
            PHONE,
            rf"(?i:{_PHONE_WORDS}(?:[ _\-]?(?:number|nummer|no|nr|num|phone|us|me|at))?)"
            r"[\"']?[ \t]{0,2}[.:=#]{0,2}[ \t]{0,2}[\"']?\+?(?:\([0-9]{1,5}\)|[0-9])"
            rf"(?:[ .\-/]{{0,2}}(?:\([0-9]{{1,5}}\)|[0-9])){{5,14}}{_EXTENSION}\b",
            _named,
        ),
        Rule(
            PHONE,
            rf"(?:\+|\(\+){_COUNTRY}\)?(?:[ .\-/]{{0,2}}(?:\([0-9]{{1,5}}\)|[0-9])){{5,14}}"
            rf"{_EXTENSION}",
            _international,
        ),
        Rule(
            PHONE,
            r"(?:\b(?:00)?1[ .\-])?(?:\([1-9][0-9]{2}\)[ \-]?|\b[2-9][0-9]{2}[\-.])[0-9]{3}[\-. ]"
            rf"[0-9]{{4}}{_EXTENSION}\b",
            _national,
        ),
        Rule(PHONE, rf"{_TRUNK}\b", _national),
    ]  # fmt: skip
