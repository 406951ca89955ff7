"""Which file of the tree a server in an image opens, by the name it opens it by."""

from __future__ import annotations

import os
import posixpath

from keepalign.join import images
from keepalign.model.source import SourceText
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._options import Lookup
from keepalign.readers.tree import Tree


def lookup(tree: Tree, dockerfile: DockerfileFragment | None) -> Lookup:
    """Finds configuration files of the servers in the image that `dockerfile` builds.

    The one that a COPY puts there; else the only one of that name below the Dockerfile's folder, when a
    command line names it. A file that a server reads only if it exists, and that lies beside the Dockerfile
    while no COPY takes it along, may be there or not.
    """

    def find(name: str) -> SourceText | str | None:
        if dockerfile is None:
            return None
        copied = _copied(tree, dockerfile, name)
        if copied is not None:
            return tree.sources[copied]
        folder = os.path.dirname(dockerfile.file)
        below = [
            file
            for file in tree.server_confs
            if posixpath.basename(name) == os.path.basename(file) and _below(folder, file)
        ]
        beside = os.path.join(folder, name)
        if name in _READ_BY_THEMSELVES:
            return f"{beside}, and no COPY of {dockerfile.file} takes it along" if beside in below else None
        if beside in below:
            return tree.sources[beside]
        return tree.sources[below[0]] if len(below) == 1 else None

    return find


_READ_BY_THEMSELVES = ("gunicorn.conf.py",)
"""What a server opens though no command line names it."""


def _copied(tree: Tree, dockerfile: DockerfileFragment, name: str) -> str | None:
    """The file of the tree that the image holds as `name`; of several the one copied last."""
    here = dockerfile.workdir or "/"
    wanted = posixpath.normpath(posixpath.join(here, name))
    found = None
    for file, place in images.placed(dockerfile, tree.server_confs):
        target = posixpath.normpath(posixpath.join(here, place))
        if wanted in (target, posixpath.join(target, os.path.basename(file))):
            found = file
    return found


def _below(folder: str, file: str) -> bool:
    return not folder or file.startswith(f"{folder}{os.sep}")
