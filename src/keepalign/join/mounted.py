"""Configuration of web servers that is mounted into a container: keys of a pod's ConfigMaps."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from fnmatch import fnmatch
from itertools import pairwise
from typing import Final, TypeVar

from keepalign.errors import ReadError
from keepalign.join import nginx_conf
from keepalign.model.path import JoinBy, JoinEvidence
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._aws import Mount
from keepalign.readers._fragments import ApacheFragment, DockerfileFragment, NginxFragment
from keepalign.readers._reader import CommandLine
from keepalign.readers.apache_httpd import ApacheReader
from keepalign.readers.kubernetes.mounts import Excerpt
from keepalign.readers.nginx import NginxReader
from keepalign.readers.tree import Tree

_T = TypeVar("_T")

_NGINX_FOLDERS: Final = (
    "/etc/nginx", "/opt/bitnami/nginx/conf", "/usr/local/openresty/nginx/conf", "/usr/local/nginx/conf",
)  # fmt: skip
_NGINX_PIECES: Final = ("conf.d/*.conf", "sites-enabled/*", "http.d/*.conf", "server_blocks/*.conf")
_APACHE_MAINS: Final = (
    "/usr/local/apache2/conf/httpd.conf", "/etc/httpd/conf/httpd.conf", "/etc/apache2/apache2.conf",
    "/etc/apache2/httpd.conf", "/opt/bitnami/apache/conf/httpd.conf",
)  # fmt: skip


def nginx(
    volumes: Sequence[Mount],
    line: CommandLine | None,
    tree: Tree,
    dockerfile: DockerfileFragment | None,
    environment: Mapping[str, str | None],
) -> tuple[NginxFragment, JoinEvidence] | str | None:
    """What nginx reads where volumes lie over its image; or why that is not known.

    Args:
        line: how it is started: `-c` names another main file.
    Returns: None where no volume holds anything of nginx's.
    """
    named = _flag(line, "-c")
    places: dict[str, SourceText] = {}
    if dockerfile is not None:
        held = nginx_conf.places(dockerfile, tree)
        places |= {place: tree.sources[file] for file, place in held.items()}
    told: list[Mount] = []
    for volume in volumes:
        texts = {nginx_conf.rendered(path): text for path, text in volume.files.items()}
        if not any(_within(path, _NGINX_FOLDERS) or path == named for path in (volume.path, *texts)):
            continue
        if volume.missing:
            return f"{volume.missing}; give the folder that holds it too"
        if volume.folder:
            places = {at: text for at, text in places.items() if not at.startswith(f"{volume.path}/")}
        places |= texts
        told.append(volume)
    if not told:
        return None
    main = named or next((at for at in places if posixpath.basename(at) == "nginx.conf"), "")
    prefix = posixpath.dirname(main) if main else next((f for f in _NGINX_FOLDERS if _holds(f, places)), "")
    pieces = [at for at in sorted(places) if any(fnmatch(at, f"{prefix}/{one}") for one in _NGINX_PIECES)]
    wanted = [main] if main in places else pieces

    def include(pattern: str) -> list[SourceText]:
        whole = posixpath.join(prefix, pattern)
        return [places[at] for at in sorted(places) if fnmatch(at, whole) and at != main]

    sources = [places[at] for at in wanted]
    if not sources:
        return (
            f"ConfigMap {told[0].name}, which is mounted at {told[0].path}, holds no configuration of nginx"
        )
    try:
        conf = NginxReader().read_image(sources, include, environment)
    except ReadError as error:
        return f"{error.place}: it {error.message}"
    return _outside(conf, places.values()), _evidence(told)


def apache(volumes: Sequence[Mount]) -> tuple[ApacheFragment, JoinEvidence] | str | None:
    """What Apache reads where a volume holds its main file, or why that is unknown; None where none does."""
    places: dict[str, SourceText] = {}
    told: list[Mount] = []
    for volume in volumes:
        main = next((at for at in _APACHE_MAINS if at in volume.files or at == volume.path), None)
        if main is not None and volume.missing:
            return f"{volume.missing}; give the folder that holds it too"
        if volume.files:
            places |= volume.files
            told.append(volume)
    main = next((at for at in _APACHE_MAINS if at in places), None)
    if main is None:
        return None
    root = posixpath.dirname(posixpath.dirname(main)) if "/conf/" in main else posixpath.dirname(main)

    def include(pattern: str) -> list[SourceText]:
        whole = posixpath.join(root, pattern)
        return [places[at] for at in sorted(places) if fnmatch(at, whole) and at != main]

    try:
        conf = ApacheReader().read_tree(places[main], include)
    except ReadError as error:
        return f"{error.place}: it {error.message}"
    holding = [one for one in told if main in one.files]
    return _outside(conf, places.values()), _evidence(holding)


def _flag(line: CommandLine | None, name: str) -> str:
    words = [word.text or "" for word in line.words] if line is not None else []
    return next((value for flag, value in pairwise(words) if flag == name), "")


def _within(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _holds(folder: str, places: Mapping[str, SourceText]) -> bool:
    return any(at.startswith(f"{folder}/") for at in places)


def _evidence(told: Sequence[Mount]) -> JoinEvidence:
    text = " and ".join(f"ConfigMap {one.name} is mounted at {one.path}" for one in told)
    return JoinEvidence(JoinBy.REFERENCE, text, told[0].place)


def _outside(conf: _T, sources: Iterable[SourceText]) -> _T:
    """With the places that its texts have in the manifests."""
    return _moved(conf, {one.file: one for one in sources if isinstance(one, Excerpt)})


def _moved(value: _T, texts: Mapping[str, Excerpt]) -> _T:
    found: object = value
    if isinstance(value, Span):
        found = texts[value.file].outside(value) if value.file in texts else value
    elif isinstance(value, tuple):
        found = tuple(_moved(one, texts) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Site) and value.span.file in texts and not texts[value.span.file].exact:
            return None  # type: ignore[return-value]  # every field that holds a Site may be None
        changed = {}
        for field in fields(value):
            old = getattr(value, field.name)
            if (new := _moved(old, texts)) is not old:
                changed[field.name] = new
        found = replace(value, **changed) if changed else value
    return found  # type: ignore[return-value]  # of the same class as `value`
