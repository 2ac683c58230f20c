"""A native module counts only where it was built from the sources that are here."""

import logging
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from events.native import Native, digest_of, load, state_of

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
SOURCE = """
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_made", NULL, 0, NULL};
PyMODINIT_FUNC PyInit__made(void) {
    PyObject *module = PyModule_Create(&MODULE);
    if (module) PyModule_AddStringConstant(module, "SOURCES", SOURCES);
    return module;
}
"""


def make_package(folder: Path, name: str, sources: str | None) -> str:
    """A package with native sources, compiled as if they had the digest `sources`."""
    native = folder / name / "native"
    native.mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    (native / "made.c").write_text(SOURCE)
    digest = digest_of(native) if sources is None else sources
    subprocess.run(
        ["gcc", "-shared", "-fPIC", f"-I{sysconfig.get_paths()['include']}",
         f'-DSOURCES="{digest}"', str(native / "made.c"), "-o", str(folder / name / "_made.so")],
        check=True,
    )  # fmt: skip
    return f"{name}._made"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_stale_module_is_left_out_and_said_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade without an installation Python does the work, with a warning."""
    name = make_package(folder, "stale_one", "0" * 64)
    assert state_of(name) is Native.STALE
    with caplog.at_level(logging.WARNING):
        assert load(name) is None
    assert "install again" in caplog.text


def test_one_that_was_built_here_is_taken(folder: Path) -> None:
    """And one without sources beside it, as wheels have them; none is absent."""
    assert load(make_package(folder, "fresh_one", None)) is not None
    name = make_package(folder, "wheel_one", "whatever")
    (folder / "wheel_one" / "native" / "made.c").unlink()
    (folder / "wheel_one" / "native").rmdir()
    assert state_of(name) is Native.READY
    assert state_of("fresh_one._other") is Native.ABSENT


def test_the_digest_tells_every_change(tmp_path: Path) -> None:
    """Of content and of names."""
    (tmp_path / "a.c").write_text("1")
    (tmp_path / "b.h").write_text("2")
    first = digest_of(tmp_path)
    (tmp_path / "b.h").write_text("3")
    second = digest_of(tmp_path)
    (tmp_path / "b.h").rename(tmp_path / "c.h")
    assert len({first, second, digest_of(tmp_path)}) == 3
