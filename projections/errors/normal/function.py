"""A function's name without what a compiler or a runtime makes up anew."""

from functools import lru_cache
from typing import Final

import re2

from projections.errors.normal.scan import options

_RULES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "java": (
        (r"\$\$Lambda(?:\$\d+)?[/$]?(?:0x)?[0-9a-fA-F]*", "$$Lambda"),
        (r"\$\$(?:EnhancerBy|FastClassBy|KeyFactoryBy)[A-Za-z]*\$\$[0-9a-fA-F]*", ""),
        (r"\$\$SpringCGLIB\$\$\d+", ""),
        (r"\$(?:HibernateProxy|ByteBuddy|MockitoMock|Subclass|_?javassist_?)\$?\w*", ""),
        (r"\$Proxy\d+", "$Proxy"),
        (r"(Generated(?:Method|Constructor|Serialization\w*)Accessor)\d+", "$1"),
        (r"lambda\$(\w+?)\$\d+", "lambda$$$1"), (r"access\$\d+", "access"), (r"\$\d+", ""),
    ),
    "dotnet": (
        (r"<>c(?:__DisplayClass[\d_]+)?\.?<([^>]*)>b__[\w|]*", "$1"),
        (r"<([^>]+)>[dbg]__[\w|]*", "$1"),
        (r"\.MoveNext$", ""), (r"<>c(?:__DisplayClass[\d_]+)?", ""), (r"`\d+", ""),
        (r"lambda_method\d*", "lambda"),
    ),
    "rust": (
        (r"::h[0-9a-f]{16}$", ""), (r"(?:::\{\{?closure(?:#\d+)?\}?\})+", ""),
        (r"::\{\{?impl(?:#\d+)?\}?\}", ""), (r"\{\{?shim[^}]*\}?\}", ""),
    ),
    "go": ((r"(?:\.func\d+(?:\.\d+)*|\.gowrap\d+)+", ""), (r"\[(?:go\.shape|\.\.\.)[^\]]*\]", ""),
           (r"-fm$", ""), (r"/v\d+\.", ".")),
    "javascript": (
        (r"^(?:Object|Module|exports|module\.exports)\.", ""), (r"^<anonymous>$", ""),
        (r"\.<anonymous>", ""), (r"^(?:__webpack_require__|eval)$", ""),
    ),
    "ruby": ((r"^(?:block|rescue|ensure)(?: \(\d+ levels\))? in ", ""),
             (r"<top \(required\)>", "<main>"),
             (r"__[0-9a-f_]{8,}", ""), (r"^.*[#.]", "")),
    "php": ((r"@anonymous.*(->|::)", "@anonymous$1"), (r"\{closure[^}]*\}", "{closure}")),
    "python": ((r"^<(?:lambda|listcomp|genexpr|dictcomp|setcomp)>$", ""),),
}  # fmt: skip


def _compiled(rules: tuple[tuple[str, str], ...]) -> list[tuple[re2._Regexp, str]]:
    made = []
    for pattern, into in rules:
        wanted = options()
        wanted.never_capture = False
        made.append((re2.compile(pattern, wanted), _template(into)))
    return made


def _template(into: str) -> str:
    return into.replace("$$", "\x00").replace("$1", r"\1").replace("\x00", "$")


_COMPILED: Final = {language: _compiled(rules) for language, rules in _RULES.items()}


@lru_cache(20_000)
def function_key(language: str, name: str) -> str:
    """The name as it is in every start and every build of the program."""
    for pattern, into in _COMPILED.get(language, ()):
        name = pattern.sub(into, name)
    return name.strip()
