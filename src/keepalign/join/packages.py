"""What a Node.js image starts: its package in the tree."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from keepalign.join import images
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import CommandLine, Word
from keepalign.readers.nodejs.packages import candidates, package_of
from keepalign.readers.nodejs.reader import Package
from keepalign.readers.tree import Tree

# Their entrypoint hands such a command to node (docker-library's node, GoogleContainerTools' distroless).
_HANDS_ON: Final = ("node", "nodejs")


def package(tree: Tree, dockerfile: DockerfileFragment | None) -> Package | None:
    """The package of an image; None when the tree holds none that it may be."""
    if dockerfile is None:
        return None
    described = {one.file: one for one in tree.packages}
    file = package_of(dockerfile, described)
    if file is None:
        return None
    files = candidates(file, tree.node_sources, described)
    sources = tuple(tree.sources[one] for one in files)
    return Package(described[file], sources, dockerfile.workdir or "/")


def command(line: CommandLine, dockerfile: DockerfileFragment | None) -> CommandLine:
    """The line as the image's own entrypoint runs it: `server.js` as `node server.js`."""
    if dockerfile is None or dockerfile.entrypoint is not None or not line.words:
        return line
    name = images.image_name(dockerfile.base)
    script = os.path.splitext(line.words[0].text or "")[1] in (".js", ".mjs", ".cjs")
    if not script or not name.startswith(_HANDS_ON):
        return line
    return replace(line, words=(Word("node", line.place), *line.words))
