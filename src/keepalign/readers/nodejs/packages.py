"""Which files of a tree can matter to the Node.js servers that its images run. Nothing else is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers.nodejs._source import JAVASCRIPT

LARGEST_SOURCE: Final = 256 * 1024
"""Bytes. Above are bundles."""

_LONGEST_LINE: Final = 5_000
_PROGRAMS: Final = frozenset({
    "node", "nodejs", "npm", "yarn", "pnpm", "next", "nest", "pm2-runtime", "tsx", "ts-node",
})  # fmt: skip
# What is built, served to browsers, copied from elsewhere, or run by tests.
_SKIPPED: Final = frozenset({
    ".next", "__mocks__", "__tests__", "build", "coverage", "cypress", "dist", "e2e", "fixtures", "out",
    "public", "static", "test", "tests", "third_party", "vendor",
})  # fmt: skip
_SKIPPED_FILE: Final = re.compile(r"\.(?:min|test|spec|config|stories|d)\.[cm]?[jt]sx?$")
_TELLING: Final = (
    b".listen",
    b"keepAliveTimeout",
    b"headersTimeout",
    b"SIGTERM",
    b"createServer",
    b"astify",
    b"ShutdownHooks",
)


def runs_node(dockerfile: DockerfileFragment) -> bool:
    """Whether the image may run Node.js: by its base, or by a word of what it starts."""
    if "node" in dockerfile.base.rpartition("/")[2]:
        return True
    lines = [line for line in (dockerfile.entrypoint, dockerfile.cmd) if line is not None]
    words = [word for line in lines for one in line.words for word in (one.text or "").split()]
    return any(os.path.basename(word) in _PROGRAMS for word in words)


def package_of(dockerfile: DockerfileFragment, described: Collection[str]) -> str | None:
    """The package.json of what an image holds: beside its Dockerfile, else what a COPY takes, else above it.

    Args:
        described: all package.json files.
    """
    folder = os.path.dirname(dockerfile.file)
    beside = os.path.join(folder, "package.json")
    if beside in described:
        return beside
    above = list(_above(folder))
    for base in (folder, *above):
        for source in (source for sources, _ in dockerfile.copies for source in sources):
            path = os.path.normpath(os.path.join(base, source.lstrip("/")))
            for candidate in (path, os.path.join(path, "package.json")):
                if candidate in described:
                    return candidate
    return next((found for one in above if (found := os.path.join(one, "package.json")) in described), None)


def _above(folder: str) -> Iterator[str]:
    while folder and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
        yield folder


def candidates(package: str, files: Sequence[str], described: Collection[str]) -> list[str]:
    """The files of a package that may be its server's source, by their names."""
    folder = os.path.dirname(package)
    nested = {os.path.dirname(one) for one in described} - {folder}
    found = []
    start = f"{folder}{os.sep}" if folder else ""
    for file in files:
        if not file.startswith(start) or not file.endswith(JAVASCRIPT) or _SKIPPED_FILE.search(file):
            continue
        inner = folder
        for part in file[len(start) :].split(os.sep)[:-1]:
            inner = os.path.join(inner, part)
            if part in _SKIPPED or inner in nested:
                break
        else:
            found.append(file)
    return found


def telling(data: bytes) -> bool:
    """Whether a text may start a server, set its limits or handle signals; minified text never does."""
    if len(data) > LARGEST_SOURCE or b"\0" in data or not any(word in data for word in _TELLING):
        return False
    return max(map(len, data.split(b"\n"))) <= _LONGEST_LINE
