"""The native decoder, built with sanitizers, given mutated requests for a while.

    python -m tests.fuzz.mutate_native SECONDS [SEED]

Without SEED it takes another at each start, and prints it. Any access beyond a buffer, any
undefined behaviour, and any difference to the reference decoder ends it with an error. It starts
itself anew with the sanitizers' library loaded first.
"""

import contextlib
import copy
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Final

from events.native import digest_of
from tests.fuzz.messages import Message, change, read_message, write_message

SOURCE: Final = Path(__file__).parents[2] / "service" / "otlp" / "decode" / "native" / "module.c"
NAME: Final = "service.otlp.decode._native"


def build(folder: Path) -> Path:
    """Compile the module with AddressSanitizer and UndefinedBehaviorSanitizer."""
    built = folder / "_native.so"
    subprocess.run(
        ["gcc", "-g", "-O1", "-shared", "-fPIC", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{sysconfig.get_paths()['include']}",
         f'-DSOURCES="{digest_of(SOURCE.parent)}"', str(SOURCE),
         "-o", str(built)],
        check=True,
    )  # fmt: skip
    return built


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """`seed` with a few bytes changed, a piece doubled, dropped or torn off."""
    body = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(body) + 1)
        end = min(at + chance.randint(1, 30), len(body))
        match chance.randrange(5):
            case 0:
                body[at:end] = b""
            case 1:
                body[at:at] = body[at:end]
            case 2:
                body[at:end] = chance.randbytes(end - at)
            case 3 if at < len(body):
                body[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, body[at] ^ 1 << at % 8))
            case 4 if at:
                body = body[: max(at, len(body) // 2)]
        body = body or bytearray(b"\n")
    return bytes(body)


def read_requests(bodies: list[bytes]) -> Iterator[Message]:
    """Those of `bodies` that are protobuf."""
    for body in bodies:
        with contextlib.suppress(ValueError):
            yield read_message(body)


def changed(request: Message, chance: random.Random) -> bytes:
    """`request` with a few fields repeated, moved, renumbered, torn or said in pieces."""
    request = copy.deepcopy(request)
    change(request, chance)
    return write_message(request)


def fuzz(module: Path, seconds: float, seed: int) -> None:
    """Load the sanitized module in the place of the product's own, and try it."""
    loader = ExtensionFileLoader("_native", str(module))
    spec = spec_from_loader("_native", loader)
    assert spec is not None
    sys.modules[NAME] = module_from_spec(spec)
    from service.otlp.decode import decoder as decode  # noqa: PLC0415 - after its native half was replaced
    from tests.fuzz.checks import check, seeds  # noqa: PLC0415

    assert decode._native is sys.modules[NAME]
    print(f"mutating requests with seed {seed}", flush=True)
    chance = random.Random(seed)
    begun = seeds()
    requests = list(read_requests(begun))
    ends_s, count = time.monotonic() + seconds, 0
    while time.monotonic() < ends_s:
        check(mutated(chance.choice(begun), chance))
        check(changed(chance.choice(requests), chance))
        count += 2
    print(f"{count} mutated requests, nothing found")


def main() -> int:
    """Build, and run in a process that has the sanitizers."""
    seconds, *more = sys.argv[1:]
    if len(more) > 1:
        fuzz(Path(more[1]), float(seconds), int(more[0]))
        return 0
    seed = more[0] if more else str(random.randrange(1 << 32))
    with tempfile.TemporaryDirectory() as folder:
        found = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
        )
        # Python frees nothing at its end, and its allocator would hide what is read too far.
        sanitized = {
            "LD_PRELOAD": found.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.fuzz.mutate_native", seconds, seed]
        return subprocess.run(
            [*command, str(build(Path(folder)))], env=os.environ | sanitized, check=False
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main())
