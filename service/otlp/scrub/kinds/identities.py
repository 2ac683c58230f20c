"""Numbers that states give to people, where their form or their check digits tell them.

The checks are python-stdnum's. Of numbers that are bare digits, those with a date and check
digits in them are taken; the others only behind a word that names them.
"""

from collections.abc import Callable
from typing import Any, Final

from stdnum import luhn
from stdnum.be import nn
from stdnum.br import cnpj, cpf
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cz import rc
from stdnum.es import dni, nie
from stdnum.exceptions import ValidationError
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.ie import pps
from stdnum.in_ import aadhaar, pan
from stdnum.iso7064 import mod_11_2
from stdnum.it import codicefiscale
from stdnum.mx import curp
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.tr import tckimlik

from service.otlp.scrub.rule import Check, Rule

NATIONAL_ID: Final = "national_id"

_COST: Final = 8
"""Check digits in Python take that many times as long as what other candidates take."""
_WORDS: Final = (
    r"(?:\bssn|social[ _\-]security|national[ _\-]insurance|\bnino|\bnhs|passport|taxpayer"
    r"|driver'?s?[ _\-]licen[cs]e|\btax[ _\-]?id|\bitin|steuer[ \-]?(?:id|nummer)"
    r"|steueridentifikationsnummer|\bidnr|sozialversicherungsnummer|\bbsn|burgerservicenummer"
    r"|\bpesel|\bdni|\bcpf|\bcnpj|\bcurp|\bcuil|\bcuit|personnummer|\bhetu|henkil|\bcpr"
    r"|f[øo]dselsnummer|aadhaar|aadhar|codice[ _]fiscale|s[ée]curit[ée] sociale|\bnir\b|\btckn"
    r"|kimlik|\bcnp\b|\begn\b|\boib\b|\bamka\b|\bafm\b|national[ _\-]?id"
    r"|identity[ _\-](?:card|number)"
    r"|my[ _]number|medicare|id[ _\-]?card|personalausweis|rodn[eé])"
)


def _valid(*valid: Callable[[str], Any]) -> Check:
    """The check of a shape that several states' numbers have."""

    def check(match: bytes, before: bytes, after: bytes) -> bytes | None:
        if before in (b"-", b".") or after == b"-":
            return None
        number = match.decode()
        return b"[national_id]" if any(_holds(one, number) for one in valid) else None

    return check


def _holds(is_valid: Callable[[str], Any], number: str) -> bool:
    try:
        return bool(is_valid(number))
    except (ValidationError, ValueError):
        return False


def _formed(match: bytes, before: bytes, after: bytes) -> bytes | None:
    return None if before in (b"-", b".", b"/") or after in (b"-", b"/") else b"[national_id]"


def _is_sin(number: str) -> bool:
    """Canada's: Luhn's check; a leading 0 was given out, too."""
    return bool(luhn.is_valid(number.replace("-", "")))


def _is_rrn(number: str) -> bool:
    """South Korea's: a date of birth; since 2020 there are no check digits."""
    month, day = int(number[2:4]), int(number[4:6])
    return 1 <= month <= 12 and 1 <= day <= 31 and number[7] in "12345678"


def _is_nric(number: str) -> bool:
    """Singapore's: weights of the digits, and a letter by what is left of eleven."""
    if number[0] not in "STFGM":
        return False
    weights = (2, 7, 6, 5, 4, 3, 2)
    total = sum(w * int(d) for w, d in zip(weights, number[1:8], strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(number[0], 0)
    letters = "JZIHGFEDCBA" if number[0] in "ST" else "XWUTRQPNMLK"
    return number[0] == "M" or letters[total % 11] == number[8]


def _named(match: bytes, before: bytes, after: bytes) -> bytes | None:
    """A word names it: the number behind it goes, if it has the digits of one."""
    start = _value_at(match)
    digits = sum(48 <= byte < 58 for byte in match[start:])
    return match[:start] + b"[national_id]" if digits >= 5 else None


def _value_at(match: bytes) -> int:
    """Where the value begins: with the letters that stand before the first digit."""
    first = next((n for n, byte in enumerate(match) if 48 <= byte < 58), len(match))
    while first and (match[first - 1 : first].isalnum()):
        first -= 1
    return first


# The automaton has as many states as what it tells apart: so shapes, and not what a digit may be.
_SHAPES: Final[list[tuple[Any, ...]]] = [
    (r"[0-9]{11}", pesel.is_valid, fodselsnummer.is_valid, tckimlik.is_valid, cpf.is_valid),
    (r"(?:[0-9]{2})?[0-9]{6}[\-+A/][0-9]{3}[0-9A-Y]?", personnummer.is_valid, hetu.is_valid,
     rc.is_valid),
    (r"[0-9]{6}-[0-9]{7}", _is_rrn),
    (r"[0-9]{3}[.\-][0-9]{3}[.\-][0-9]{3}(?:-[0-9]{2})?", cpf.is_valid, _is_sin),
    (r"[0-9]{1,3}\.[0-9]{2,4}\.[0-9]{2,4}[.\-/][0-9kK]{1,4}(?:[.\-][0-9]{2})?", cnpj.is_valid,
     nn.is_valid, ahv.is_valid, rut.is_valid),
    (r"[0-9]{4}[ \-][0-9]{4}[ \-][0-9]{4}", aadhaar.is_valid),
    (r"[0-9]{17}[0-9X]", mod_11_2.is_valid),
    (r"[12](?: ?[0-9]{2}){3} ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", nir.is_valid),
    (r"[A-Z]-?[0-9]{7}-?[A-Z]", nie.is_valid, _is_nric),
    (r"[0-9]{7,8}-?[A-Z]{1,2}", dni.is_valid, pps.is_valid),
    (r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", codicefiscale.is_valid),
    (r"[A-Z]{5}[0-9]{4}[A-Z]", pan.is_valid),
    (r"[A-Z]{4}[0-9]{6}[A-Z]{6}[A-Z0-9][0-9]", curp.is_valid),
]  # fmt: skip


def identity_rules() -> list[Rule]:
    """Numbers of persons."""
    return [
        Rule(
            NATIONAL_ID,
            rf"(?i:{_WORDS}(?:[ _\-]?(?:number|nummer|numero|no|nr|card|id))*)[\"'.]?[ \t]{{0,2}}"
            r"(?:[:=#]|is|de)?[ \t]{0,2}[\"']?[A-Za-z]{0,2}[0-9][A-Za-z0-9]{0,12}"
            r"(?:[ .\-/][A-Za-z0-9]{0,3}[0-9][A-Za-z0-9]{0,8}){0,5}(?:[ \-][A-Z]\b)?",
            _named,
        ),
        Rule(NATIONAL_ID, r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", _formed),  # United States
        Rule(  # Britain
            NATIONAL_ID,
            r"\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b",
            _formed,
        ),
        *(
            Rule(NATIONAL_ID, rf"\b{shape}\b", _valid(*valid), _COST * len(valid))
            for shape, *valid in _SHAPES
        ),
    ]  # fmt: skip
