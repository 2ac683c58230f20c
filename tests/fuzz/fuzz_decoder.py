"""A coverage-guided fuzzer on the decoders; needs atheris.

    python -m tests.fuzz.fuzz_decoder FOLDER -max_total_time=40

FOLDER keeps what was found to be worth mutating; what fails is written to `crash-…`. Further
options are libFuzzer's.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["service.otlp", "events"]):
    from tests.fuzz.checks import check, seeds


def main() -> None:
    """Fuzz until the time is over or something fails."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup([*sys.argv, "-max_len=8192"], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
