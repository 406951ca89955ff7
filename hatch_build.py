"""Build hook of hatchling: the compiled loop of `keepalign diagnose`, for whoever asks for it.

    KEEPALIGN_BUILD_SCANNER=1 python -m pip wheel --no-deps .

Without it the wheel is py3-none-any, and Python does the same work.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "KEEPALIGN_BUILD_SCANNER"
SOURCE = "src/keepalign/logs/_scanner.c"
LIBRARY = "keepalign/logs/_scanner.so"


class ScannerHook(BuildHookInterface):
    """Compiles SOURCE into the wheel; a failing compiler fails the build, since it was asked for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get(VARIABLE) != "1" or version == "editable":
            return
        # Gone with this object, which outlives the build.
        self._folder = TemporaryDirectory(prefix="keepalign-")
        library = Path(self._folder.name, "_scanner.so")
        compiler = os.environ.get("CC", "cc")
        flags = ["-std=c99", "-O2", "-fPIC", "-shared"]
        subprocess.run([compiler, *flags, "-o", str(library), str(Path(self.root, SOURCE))], check=True)
        build_data["force_include"][str(library)] = LIBRARY
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
