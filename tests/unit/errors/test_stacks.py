"""Stack traces that nine languages really printed become frames and causes."""

from pathlib import Path

import pytest

from projections.errors.stacks.frame import Link
from projections.errors.stacks.reading import read_stack

GOLDEN = Path(__file__).parents[2] / "data" / "errors" / "stacks"
EXPECTED = {
    "python_chained": ("python", [
        ("thrown", "RuntimeError", "report failed", ["<module>"]),
        ("context", "ValueError", "order 5 is not there", ["read", "<module>"]),
        ("cause", "KeyError", "5", ["load", "read"]),
    ]),
    "python_group": ("python", [
        ("thrown", "ExceptionGroup", "unhandled errors in a TaskGroup", ["main", "<module>"]),
        ("member", "ValueError", "order 17 is not there", ["read", "one"]),
        ("cause", "KeyError", "17", ["load", "read"]),
        ("member", "ValueError", "order 18 is not there", ["read", "one"]),
        ("cause", "KeyError", "18", ["load", "read"]),
    ]),
    "java": ("java", [
        ("thrown", "java.lang.RuntimeException", "order 17",
         ["Orders.read", "Orders.lambda$main$0", "Orders.main"]),
        ("cause", "java.lang.NullPointerException", "Cannot invoke", ["Orders.load"]),
        ("suppressed", "java.lang.IllegalStateException", "close failed", ["Orders$Res.close"]),
    ]),
    "javascript": ("javascript", [
        ("thrown", "Error", "order 17 cannot be read", ["Orders.load", "Orders.read", ""]),
        ("cause", "Error", "ENOENT: no such file", ["Orders.load", "Orders.read", ""]),
    ]),
    "go": ("go", [
        ("thrown", "panic", "assignment to entry in nil map",
         ["main.(*store).put", "main.read", "main.main.func2", "main.main"]),
    ]),
    "rust": ("rust", [
        ("thrown", "panic", "index out of bounds: the len is 0", [
            "orders::store::load::{{closure}}", "orders::store::load", "orders::read",
            "orders::main",
        ]),
    ]),
    "ruby": ("ruby", [
        ("thrown", "ArgumentError", "order 17 is not there",
         ["rescue in read", "read", "block in <main>", "each", "<main>"]),
        ("cause", "KeyError", "key not found: 17",
         ["fetch", "load", "read", "block in <main>", "each", "<main>"]),
    ]),
    "dotnet": ("dotnet", [
        ("thrown", "System.InvalidOperationException", "order 17", ["Orders.Read", "Orders.Main"]),
        ("cause", "System.Collections.Generic.KeyNotFoundException", "The given key",
         ["Orders.Load", "Orders.Read"]),
    ]),
    "php": ("php", [
        ("thrown", "RuntimeException", "order 17 cannot be read", ["", "read", "array_map"]),
        ("cause", "DivisionByZeroError", "Division by zero",
         ["", "intdiv", "Store->load", "read", "array_map"]),
    ]),
}  # fmt: skip


def golden(name: str) -> str:
    """What a program printed, as it printed it but for its folder."""
    return (GOLDEN / f"{name}.txt").read_text("utf-8")


def _own(link: Link) -> list[str]:
    return [frame.function for frame in link.frames if frame.in_app]


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_language_prints_is_understood(name: str) -> None:
    """Errors, their relations, messages and the application's frames are those of the program."""
    stack = read_stack(golden(name))
    assert stack is not None
    language, links = EXPECTED[name]
    assert stack.language == language
    assert [(link.relation, link.type, _own(link)) for link in stack.links] == [
        (relation, kind, frames) for relation, kind, _, frames in links
    ]
    for link, (_, _, begin, _) in zip(stack.links, links, strict=True):
        assert link.message.startswith(begin)


@pytest.mark.parametrize("name", EXPECTED)
def test_windows_line_ends_and_colours_change_nothing(name: str) -> None:
    """A trace that went through a terminal or through Windows is the same trace."""
    text = golden(name)
    assert read_stack(text.replace("\n", "\r\n")) == read_stack(text)
    coloured = "\n".join(f"\x1b[31m{line}\x1b[0m" if line else "" for line in text.split("\n"))
    assert read_stack(coloured) == read_stack(text)


def test_lines_are_numbers_and_places_files() -> None:
    """A frame says where it is."""
    stack = read_stack(golden("java"))
    assert stack is not None
    frame = stack.links[0].frames[0]
    assert (frame.file, frame.line) == ("Orders.java", 5)


@pytest.mark.parametrize(
    "text", ["", "\n", "nothing of the kind", "at home", "# 1", "File x", "a:in b", "goroutine"]
)
def test_text_without_frames_is_no_trace(text: str) -> None:
    """Nothing is read into what is no stack trace."""
    assert read_stack(text) is None
