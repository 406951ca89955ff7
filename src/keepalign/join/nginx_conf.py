"""Which nginx configuration an image holds: a main file, pieces of one, or both, as its Dockerfile says."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Final

from keepalign.join import images
from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.source import SourceText
from keepalign.readers._fragments import DockerfileFragment, NginxFragment
from keepalign.readers.nginx import NginxReader
from keepalign.readers.tree import Tree

_PREFIX: Final = "/etc/nginx"
_MAIN: Final = "nginx.conf"
# What the shipped main files include into http: nginx.org's packages and images, Debian's, Alpine's.
_PIECES: Final = (f"{_PREFIX}/conf.d/*.conf", f"{_PREFIX}/sites-enabled/*", f"{_PREFIX}/http.d/*.conf")
# The image's entrypoint script renders them into conf.d (nginx/docker-nginx, 20-envsubst-on-templates.sh).
_TEMPLATES: Final = f"{_PREFIX}/templates/"


def configuration(
    tree: Tree, dockerfile: DockerfileFragment | None, environment: Mapping[str, str | None]
) -> tuple[NginxFragment, tuple[str, ...], JoinEvidence] | str:
    """What nginx reads in an image; the files that it was made of; how they were found. Else what is missing.

    Copied by its Dockerfile, else the only configuration there is.

    Args:
        environment: of the container.
    """
    confs = {conf.file: conf for conf in tree.nginx}
    placed = places(dockerfile, tree) if dockerfile is not None else {}
    held = {file: confs[file] for file in placed if file in confs}
    mains = [file for file, conf in held.items() if not conf.piece]
    named = [file for file in mains if posixpath.basename(placed[file]).removesuffix(".template") == _MAIN]
    mains = named if len(named) == 1 else mains
    pieces = [file for file, conf in held.items() if conf.piece]
    in_http = [file for file in pieces if any(fnmatch(placed[file], pattern) for pattern in _PIECES)]
    pieces = sorted(in_http or pieces, key=lambda file: placed[file])
    if dockerfile is not None and (len(mains) == 1 or (pieces and not mains)):
        files = (*mains, *pieces)
        evidence = JoinEvidence(JoinBy.REFERENCE, images.said_to_hold(dockerfile, files))
        if len(files) == 1 and not (environment and files[0].endswith(".template")):
            return held[files[0]], files, evidence
        sources = [tree.sources[file] for file in mains or files]
        include = _Includes(tree, placed, files[0])
        return NginxReader().read_image(sources, include, environment), files, evidence
    if len(confs) == 1:
        (file,) = confs
        text = f"{file} is the only nginx configuration"
        return confs[file], (file,), JoinEvidence(JoinBy.ONLY_CANDIDATE, text)
    if not confs:
        return "no nginx configuration in the given folders; give the folder of its nginx.conf too"
    return (
        f"several nginx configurations ({', '.join(held or confs)}) and no COPY that says which one the image"
        " holds; give the folder of one only"
    )


def places(dockerfile: DockerfileFragment, tree: Tree) -> Mapping[str, str]:
    """The files of the tree that were read and the image holds: where each of them ends up."""
    found: dict[str, str] = {}
    for file, place in images.placed(dockerfile, tree.sources):
        # The same file may go along with a folder of documents.
        if file not in found or not found[file].startswith(f"{_PREFIX}/"):
            found[file] = rendered(place)
    return found


def rendered(place: str) -> str:
    """Where what lies at `place` in the image ends up: templates are rendered when it starts."""
    if place.startswith(_TEMPLATES):
        return f"{_PREFIX}/conf.d/{place.removeprefix(_TEMPLATES).removesuffix('.template')}"
    return place


class _Includes:
    """Answers include lines: what the image holds there, else what lies beside the file in the tree."""

    def __init__(self, tree: Tree, places: Mapping[str, str], main: str) -> None:
        self._sources = tree.sources
        self._pieces = {conf.file for conf in tree.nginx if conf.piece}
        self._places = places
        self._main = main

    def __call__(self, pattern: str) -> list[SourceText]:
        whole = posixpath.join(_PREFIX, pattern)
        found = sorted((place, file) for file, place in self._places.items() if fnmatch(place, whole))
        if not found:
            found = [(file, file) for file in self._beside(pattern)]
        return [self._sources[file] for _, file in found if file != self._main]

    def _beside(self, pattern: str) -> list[str]:
        """As `readers.tree` found them: the longest tail of the pattern that lies beside the main file."""
        folder = os.path.dirname(self._main)
        parts = [part for part in pattern.split("/") if part]
        for skip in range(len(parts)):
            tail = os.path.normpath(os.path.join(folder, *parts[skip:]))
            found = sorted(
                file
                for file in self._sources
                if os.path.dirname(file) == os.path.dirname(tail) and fnmatch(file, tail)
                if skip < len(parts) - 1 or file == tail or file in self._pieces
            )
            if found:
                self._pieces.difference_update(found)
                return found
        return []
