"""Builds the optional native modules along with the packages, and takes the SDK in.

Where there is no C compiler or no Python headers the build goes on without them: the product then
does their work in Python, with the same results, at about half the speed.
"""

import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

SOURCES = {
    "events.log._table": "events/log/native/table.c",
    "service.otlp.decode._native": "service/otlp/decode/native/module.c",
    "projections.views.spans._native": "projections/views/spans/native/module.c",
}
SDK = "sdk/spanledger_sdk"
"""A distribution of its own, for applications; `make install` installs it beside this one."""


class NativeModules(BuildHookInterface[Any]):
    """Compiles the modules of `SOURCES` against Python's stable interface."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        editable = version == "editable"
        if not editable:  # the service uses the SDK of its own release, which nobody publishes
            build_data["force_include"][str(Path(self.root, SDK))] = "spanledger_sdk"
        if sys.implementation.name != "cpython":
            return
        folder = Path(self.root) if editable else Path(tempfile.mkdtemp(prefix="spanledger-"))
        try:
            built = self._compile(folder)
        except BaseException as exc:  # distutils raises SystemExit when there is no compiler
            if isinstance(exc, KeyboardInterrupt):
                raise
            self.app.display_warning(f"nothing native, Python does it instead: {exc}")
            return
        if not editable:
            for file in built:
                build_data["force_include"][str(folder / file)] = file
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{self._platform()}"

    def _compile(self, folder: Path) -> list[str]:
        """The files made, relative to `folder`."""
        extensions = [self._extension(module, source) for module, source in SOURCES.items()]
        command = build_ext(Distribution({"name": "spanledger", "ext_modules": extensions}))
        command.build_lib = str(folder)
        command.build_temp = tempfile.mkdtemp(prefix="spanledger-")
        before = Path.cwd()
        os.chdir(self.root)
        try:
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(before)
        return [f"{module.replace('.', '/')}.abi3.so" for module in SOURCES]

    def _extension(self, module: str, source: str) -> Extension:
        folder = Path(self.root, source).parent
        digest = runpy.run_path(str(Path(self.root, "events", "native.py")))["digest_of"](folder)
        return Extension(
            module, [source], py_limited_api=True, extra_compile_args=["-O3"],
            depends=[str(path) for path in folder.glob("*.h")],
            define_macros=[("SOURCES", f'"{digest}"')],
        )  # fmt: skip

    @staticmethod
    def _platform() -> str:
        return next(tag.platform for tag in sys_tags() if "manylinux" not in tag.platform)
