"""Builds the optional native decoder along with the packages.

Where there is no C compiler or no Python headers the build goes on without it: the product then
decodes in Python, with the same results, at about half the speed.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

MODULE = "service.otlp._native"
FILE = "service/otlp/_native.abi3.so"


class NativeDecoder(BuildHookInterface[Any]):
    """Compiles `service/otlp/native/module.c` against Python's stable interface."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or sys.implementation.name != "cpython":
            return
        editable = version == "editable"
        folder = Path(self.root) if editable else Path(tempfile.mkdtemp(prefix="spanledger-"))
        try:
            built = self._compile(folder)
        except BaseException as exc:  # distutils raises SystemExit when there is no compiler
            if isinstance(exc, KeyboardInterrupt):
                raise
            self.app.display_warning(f"no native decoder, decoding in Python instead: {exc}")
            return
        if not editable:
            build_data["force_include"][str(built)] = FILE
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{self._platform()}"

    def _compile(self, folder: Path) -> Path:
        source = Path("service/otlp/native/module.c")
        headers = [str(path) for path in Path(self.root, source.parent).glob("*.h")]
        extension = Extension(
            MODULE, [str(source)], py_limited_api=True, extra_compile_args=["-O3"], depends=headers
        )
        command = build_ext(Distribution({"name": "spanledger", "ext_modules": [extension]}))
        command.build_lib = str(folder)
        command.build_temp = tempfile.mkdtemp(prefix="spanledger-")
        before = Path.cwd()
        os.chdir(self.root)
        try:
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(before)
        return folder / FILE

    @staticmethod
    def _platform() -> str:
        return next(tag.platform for tag in sys_tags() if "manylinux" not in tag.platform)
