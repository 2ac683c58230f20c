"""Rust: panics of all releases, backtraces, and the causes that anyhow and eyre print."""

from projections.errors.stacks.frame import Draft, Frame, Link, Stack, number
from projections.errors.stacks.ownership import owns_symbol

_MACHINERY = ("panicking::", "rust_begin_unwind", "backtrace::", "std::panic", "begin_unwind")


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no panic and no frame of Rust."""
    draft = Draft()
    causes: list[Draft] = []
    panicked = within = False
    for line in lines:
        text = line.strip()
        if "panicked at " in text and not panicked:
            panicked = True
            _panic(draft, text)
        elif text.lower().startswith("stack backtrace:"):
            within = True
        elif within:
            _frame(draft, text)
        elif text == "Caused by:":
            causes.append(Draft("cause"))
        elif causes and text:
            causes[-1] = Draft("cause", _numbered(text))
            causes.append(causes[-1])
        elif text and not text.startswith(("note: ", "thread '")):
            draft.head.append(text.removeprefix("Error: "))
    if not panicked and not draft.frames:
        return None
    draft.type = "panic" if panicked else ""
    draft.frames = _below_panic(draft.frames)
    links: list[Link] = [draft.link(), *(cause.link() for cause in causes[:-1])]
    return Stack("rust", tuple(links))


def _panic(draft: Draft, text: str) -> None:
    """`panicked at 'message', src/main.rs:4:5`, and since 1.73 the place first."""
    what = text.partition("panicked at ")[2]
    if what.startswith("'"):
        message, _, place = what[1:].rpartition("', ")
        draft.head.append(message)
    else:
        place = what.rstrip(":")
    file, _, rest = place.partition(".rs:")
    if rest:
        file += ".rs"
        draft.frames.append(Frame("", file, number(rest.partition(":")[0]), owns_symbol("", file)))


def _frame(draft: Draft, text: str) -> None:
    frames = draft.frames
    if text.startswith("at ") and frames:
        last = frames[-1]
        file, _, place = text[3:].rpartition(".rs:")
        if file and last.function:
            file += ".rs"
            line = number(place.partition(":")[0])
            owned = owns_symbol(last.function, file)
            frames[-1] = Frame(last.function, file, line, owned)
        return
    index, colon, function = text.partition(": ")
    if colon and index.isdigit():
        function = function.partition(" - ")[2] or function  # with addresses, in full backtraces
        frames.append(Frame(function, "", None, owns_symbol(function, "")))


def _below_panic(frames: list[Frame]) -> list[Frame]:
    """Without the place (the frames say it) and without the machinery of panicking."""
    named = [frame for frame in frames if frame.function]
    last = max(
        (at for at, f in enumerate(named[:12]) if any(m in f.function for m in _MACHINERY)),
        default=-1,
    )
    return named[last + 1 :] or frames[:1]


def _numbered(text: str) -> str:
    index, colon, rest = text.partition(": ")
    return rest if colon and index.isdigit() else text
