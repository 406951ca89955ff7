"""The packaged copy of the story's stack, for `keepalign demo`."""

from __future__ import annotations

from pathlib import Path

import keepalign
from keepalign.errors import LabError


def story() -> Path:
    """The folder with `broken` and `fixed`: in the wheel beside the package, in a checkout at its top.

    Raises: LabError: neither is there.
    """
    package = Path(keepalign.__file__).parent
    for folder in (package / "examples" / "orders-api", package.parent.parent / "examples" / "orders-api"):
        if (folder / "broken").is_dir():
            return folder
    raise LabError("the example stack is missing from this installation", hint="install keepalign again")
