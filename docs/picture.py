"""Draws the README's picture, docs/demo.svg, from a real run of `keepalign demo`: `make picture`."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE: Final = Path(__file__).parent / "demo.svg"
COMMAND: Final = ("keepalign", "demo")


def main() -> None:
    """Run the demo, and draw what it printed. Ends with the demo's exit code when that is not 0."""
    program = Path(sys.executable).parent / COMMAND[0]
    done = subprocess.run(
        [program, *COMMAND[1:]],
        env={**os.environ, "FORCE_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=180,
    )
    if done.returncode != 0:
        sys.exit(done.returncode)
    console = Console(record=True, width=84, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {' '.join(COMMAND)}\n", style="bold"))
    console.print(Text.from_ansi(done.stdout))
    # The reader's own monospace font: a picture in a README loads nothing from elsewhere.
    template = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.S)
    template = template.replace("Fira Code", "ui-monospace")
    console.save_svg(str(PICTURE), title=" ".join(COMMAND), code_format=template, unique_id="demo")


if __name__ == "__main__":
    main()
