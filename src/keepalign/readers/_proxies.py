"""Which files of HAProxy, Envoy, Traefik and Caddy belong together, and their fragments."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from keepalign.model.source import SourceText
from keepalign.readers._fragments import ProxyFragment
from keepalign.readers.caddy import CaddyReader
from keepalign.readers.envoy import EnvoyReader
from keepalign.readers.haproxy import HAProxyReader
from keepalign.readers.traefik import TraefikReader


class _ManyFiles(Protocol):
    """A reader of a main file with pieces that stand on no line of it."""

    def recognise(self, path: str, head: bytes) -> bool: ...

    def is_main(self, source: SourceText) -> bool: ...

    def read_files(self, sources: Sequence[SourceText]) -> ProxyFragment: ...


_MANY: Final[tuple[_ManyFiles, ...]] = (HAProxyReader(), EnvoyReader(), TraefikReader())
CADDY: Final = CaddyReader()
CADDY_MAIN: Final = ("caddyfile",)
"""The usual name of a main Caddyfile."""


@dataclass(slots=True)
class ProxyFiles:
    """What the walk met. `caddy` are Caddyfiles, of which some may be imported by others."""

    caddy: list[str] = field(default_factory=list)
    _found: tuple[list[str], ...] = field(default_factory=lambda: tuple([] for _ in _MANY))

    def take(self, file: str, head: bytes) -> bool:
        """Whether a file is a proxy's; it is then kept."""
        for reader, found in zip(_MANY, self._found, strict=True):
            if reader.recognise(file, head):
                found.append(file)
                return True
        if CADDY.recognise(file, head):
            self.caddy.append(file)
            return True
        return False

    def read(
        self,
        read: Callable[[str], SourceText],
        noted: Callable[..., AbstractContextManager[None, bool | None]],
    ) -> list[ProxyFragment]:
        """The fragments of all but Caddyfiles, each of one configuration.

        Args:
            noted: `Unused.noted`.

        Raises: ReadError: as `noted` does.
        """
        fragments: list[ProxyFragment] = []
        for reader, found in zip(_MANY, self._found, strict=True):
            sources: dict[str, SourceText] = {}
            for file in found:
                with noted(file, named=_is_named(file)):
                    sources[file] = read(file)
            mains = [file for file in sources if reader.is_main(sources[file])]
            apart = isinstance(reader, HAProxyReader)
            groups = _groups(list(sources), mains, apart=apart)
            for group in groups:
                with noted(group[0], named=_is_named(group[0])):
                    fragments.append(reader.read_files([sources[file] for file in group]))
        return fragments


def _is_named(file: str) -> bool:
    return os.path.basename(file) == "haproxy.cfg"


def _groups(found: Sequence[str], mains: Sequence[str], *, apart: bool) -> list[list[str]]:
    """Each main file with its pieces: those in its folder, and in folders below that hold no main file.

    Where a folder has several main files, pieces in it are nobody's.

    Args:
        apart: pieces of no main file are configurations of their own, as HAProxy's are; else those of one
            folder are one. And pieces below are in a folder such as conf.d.
    """
    groups: dict[str, list[str]] = {main: [main] for main in mains}
    by_folder: dict[str, list[str]] = {}
    for main in mains:
        by_folder.setdefault(os.path.dirname(main), []).append(main)
    for file in found:
        if file in groups:
            continue
        folder = os.path.dirname(file)
        here = folder
        while here not in by_folder and here not in ("", os.sep):
            if apart and not here.endswith(".d"):
                break
            here = os.path.dirname(here)
        owners = by_folder.get(here, ())
        if len(owners) == 1 and not (apart and os.path.basename(file) == "haproxy.cfg"):
            groups[owners[0]].append(file)
        else:
            groups.setdefault(file if apart or owners else f"{folder}/", []).append(file)
    return list(groups.values())
