"""The same error has the same fingerprint, another one another."""

import pytest

from projections.runs.fingerprint import fingerprint, normal_message

PYTHON = """Traceback (most recent call last):
  File "/srv/app/shop/orders.py", line {line}, in place
    pay(order)
  File "/srv/app/shop/pay.py", line 7, in pay
    raise ValueError(f"order {{order}}")
ValueError: order {order}"""
JAVA = """java.lang.IllegalStateException: order {order}
\tat shop.Orders.place(Orders.java:{line})
\tat shop.Main$$Lambda/0x0000{order}.run(Unknown Source)"""
NODE = """Error: order {order}
    at place (/srv/app/orders.js:{line}:11)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"""
GO = """goroutine {order} [running]:
main.place(0xc00001{order})
\t/srv/app/orders.go:{line} +0x1d"""
RUBY = """orders.rb:{line}:in `place': order {order} (RuntimeError)
\tfrom app/orders.rb:{line}:in `place'"""


@pytest.mark.parametrize("stack", [PYTHON, JAVA, NODE, GO, RUBY])
def test_lines_addresses_and_values_do_not_matter(stack: str) -> None:
    """A release that moved a line, and another order, keep the pattern."""
    one = fingerprint("E", "order 17", stack.format(line=10, order=17))
    two = fingerprint("E", "order 18", stack.format(line=99, order=18))
    assert one == two
    assert one.stack_hash is not None


def test_python_frames_are_file_and_function() -> None:
    """The sample shows what the identity is made of."""
    found = fingerprint("ValueError", "x", PYTHON.format(line=1, order=2))
    assert found.sample_stack == "shop/orders.py in place\nshop/pay.py in pay"


@pytest.mark.parametrize(
    ("other_type", "other_stack"),
    [
        ("KeyError", PYTHON.format(line=1, order=1)),
        ("ValueError", PYTHON.format(line=1, order=1).replace("in pay", "in refund")),
    ],
)
def test_type_and_functions_matter(other_type: str, other_stack: str) -> None:
    """Another type or another way through the code is another error."""
    one = fingerprint("ValueError", "x", PYTHON.format(line=1, order=1))
    assert fingerprint(other_type, "x", other_stack).digest != one.digest


def test_depth_of_a_recursion_does_not_matter() -> None:
    """Equal frames in a row count once."""
    frame = '  File "/a/b.py", line 3, in f\n    f()\n'
    head = "Traceback (most recent call last):\n"
    few = fingerprint("RecursionError", "", head + frame * 3 + "RecursionError: deep")
    many = fingerprint("RecursionError", "", head + frame * 900 + "RecursionError: deep")
    assert few.digest == many.digest


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("order 17 of 3.5", "order <number> of <number>"),
        ("key 'a b' not in \"map\"", "key <text> not in <text>"),
        ("at 0xDEADbeef", "at <hex>"),
        ("id 1f0c9a52-7b1e-4ac0-9d1c-0a1b2c3d4e5f gone", "id <uuid> gone"),
        ("commit deadbeef01 failed", "commit <hex> failed"),
        ("facade deadline", "facade deadline"),
    ],
)
def test_values_in_messages_are_replaced(message: str, normal: str) -> None:
    """Words stay, values go."""
    assert normal_message(message) == normal


def test_without_a_stack_the_message_decides() -> None:
    """Numbers in it do not."""
    one, two = fingerprint("E", "order 17 failed"), fingerprint("E", "order 18 failed")
    assert one == two
    assert one.stack_hash is None
    assert one.digest != fingerprint("E", "order lost").digest


@pytest.mark.parametrize("stack", ["\n", "Traceback", "no frames here", "a\n" * 100_000])
def test_any_text_may_stand_for_a_stack(stack: str) -> None:
    """A stack of no known language is no error."""
    assert len(fingerprint(None, "", stack).digest) == 32
