"""What stays the same of a finding while lines move and values change: for baselines and alert trackers."""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from keepalign.model.finding import Finding
from keepalign.model.path import Stack

_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of files as they are below a folder, whatever folder the check was started in.

    Args:
        top: absolute; the root of the repository.
        here: absolute; what relative names start from.
    """

    top: str
    here: str

    def __call__(self, file: str) -> str:
        """`file` from `top`, with `/` between folders; unchanged when it lies elsewhere."""
        below = os.path.relpath(os.path.join(self.here, file), self.top)
        if file.startswith("<") or below == ".." or below.startswith(f"..{os.sep}"):
            return file
        return below.replace(os.sep, "/")


def fingerprint(finding: Finding, stack: Stack, name: Callable[[str], str]) -> str:
    """32 hexadecimal digits made of the cause, the hop with its product, the options and the files.

    Not of lines, values, labels or paths: moving a line, changing a number that does not cure, and a further
    request path leave it as it is. Two findings may share one: count them.

    Args:
        name: what a file is called whatever the folder that the check was started in: Names.
    """
    products = {hop.name: hop.product.value for path in stack.paths for hop in path.hops}
    spans = [location.span for location in finding.locations if location.span is not None]
    parts = (
        _VERSION,
        finding.cause,
        finding.hop,
        products.get(finding.hop, ""),
        _joined(f"{need.hop}/{need.role.value}/{need.setting.option}" for need in finding.needs),
        _joined(f"{name(span.file)}/{span.name}" for span in spans),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _joined(words: Iterable[str]) -> str:
    return "\n".join(sorted(set(words)))
