"""What the helm program itself prints for a chart."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_LIMIT_S: Final = 20


def rendered(files: Mapping[str, bytes], name: str, values: Sequence[str]) -> bytes | None:
    """What `helm template` prints; None without a helm on PATH, or when it refuses the chart.

    It runs on a copy, in a temporary folder, with its own settings there: no plugins, no cluster, no
    download of dependencies. Templates have no way to start a program.

    Tested with a program that stands in for helm, not with helm itself.

    Args:
        files: the chart's, by their paths in it.
        name: of the release.
        values: paths of further files of values in it, the later wins.
    """
    program = shutil.which("helm")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="keepalign-helm-") as folder:
        chart = Path(folder, "chart")
        for path, data in files.items():
            target = chart / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        own = {
            f"HELM_{what}": os.path.join(folder, what.lower())
            for what in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "PLUGINS")
        }
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": folder, "KUBECONFIG": os.devnull, **own}
        command = [program, "template", name, str(chart)]
        for path in values:
            command += ["--values", str(chart / path)]
        try:
            ran = subprocess.run(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=_LIMIT_S, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None
        return ran.stdout if ran.returncode == 0 else None
