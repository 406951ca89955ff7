"""What people declare rather than configure: endpoints, balancers in front, what builds a container."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.defaults import load
from keepalign.model.path import Client, JoinBy, JoinEvidence, Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting
from keepalign.model.source import Origin
from keepalign.model.workload import Endpoint, Workload, covers
from keepalign.readers._fragments import KeepalignToml
from keepalign.units import Duration

DECLARE: Final = "--in-front aws-alb:idle_timeout=60s"
"""The option that declares a balancer, for messages."""


@dataclass(frozen=True, slots=True)
class DeclaredBalancer:
    """A balancer in front of what the tree holds, as said on the command line or in keepalign.toml."""

    idle_timeout: Setting
    deregistration_delay: Setting | None
    origin: Origin

    @property
    def said(self) -> str:
        """Who says so, for people: "--in-front aws-alb:idle_timeout=60s", "keepalign.toml:12:1"."""
        use = self.origin.use
        return self.origin.note or (use.place if use is not None else "a declaration")

    def in_front_of(self, what: str) -> JoinEvidence:
        """That it stands there."""
        return JoinEvidence(JoinBy.HINT, f"{self.said} stands in front of {what}", self.origin.use)


def declared_balancer(options: Mapping[str, str], origin: Origin) -> DeclaredBalancer:
    """A balancer from its declared options, durations as text ("60s").

    Raises: ValueError: an option is unknown or no duration.
    """
    known = ("deregistration_delay", "idle_timeout")
    for name in options:
        if name not in known:
            raise ValueError(f"aws-alb has no option {name!r}; known: {', '.join(known)}")

    def setting(option: str) -> Setting | None:
        text = options.get(option)
        return (
            Explicit(option=option, origin=origin, value=Duration.parse(text)) if text is not None else None
        )

    idle = setting("idle_timeout") or load(Product.AWS_ALB).setting("idle_timeout")
    return DeclaredBalancer(idle, setting("deregistration_delay"), origin)


class Declarations:
    """The keepalign.toml files of a tree, and what the command line adds.

    One file speaks for the whole tree. Of several, those speak for a service whose folder holds some file of
    the service, the nearer one last; where none does, all of them do.

    Args:
        everywhere: what the command line declares of all endpoints that no file names; None for nothing.
    """

    def __init__(self, declared: Sequence[KeepalignToml], everywhere: Endpoint | None = None) -> None:
        self._declared = declared
        self._everywhere = everywhere

    def workload(self, files: Iterable[str] = ()) -> Workload:
        """The endpoints of what `files` describe; all endpoints for no files."""
        found = {e.path: e for one in self._near(files) for e in one.workload.endpoints}
        if self._everywhere is not None:
            found.pop("/", None)
            found["/"] = self._everywhere
        return Workload(tuple(found.values()))

    def builds(self, file: str) -> Mapping[str, str]:
        """Container name to what builds it, for a service defined in `file`; paths as the walk has them."""
        hints: dict[str, str] = {}
        for one in self._near([file]):
            base = os.path.dirname(one.file)
            for name, path in one.hints.containers.items():
                hints[name] = os.path.normpath(os.path.join(base, path))
        return hints

    def beside(self, stack: Stack) -> Stack:
        """`stack` with what is declared beside its paths: the clients that call them, and how long a start
        takes."""
        if not any(one.hints.clients or one.hints.startup is not None for one in self._declared):
            return stack
        return replace(stack, paths=tuple(self._with_clients(path, stack) for path in stack.paths))

    def _with_clients(self, path: RequestPath, stack: Stack) -> RequestPath:
        near = self._near(hop.place.file for hop in path.hops if hop.place is not None)
        routes = [p.route for p in stack.paths if p.hops[0].name == path.hops[0].name]
        clients = {c.name: c for one in near for c in one.hints.clients if _calls(c, path.route, routes)}
        startup = next((one.hints.startup for one in reversed(near) if one.hints.startup is not None), None)
        lifecycle = path.lifecycle
        if lifecycle is not None and startup is not None:
            lifecycle = replace(lifecycle, startup=startup)
        return replace(path, clients=tuple(clients.values()), lifecycle=lifecycle)

    def _near(self, files: Iterable[str]) -> Sequence[KeepalignToml]:
        if len(self._declared) < 2:
            return self._declared
        paths = [os.path.abspath(file) for file in files]
        near = [
            (folder, one)
            for one in self._declared
            if any(_inside(path, folder := _folder_of(one)) for path in paths)
        ]
        if not near:
            return self._declared
        return [one for _, one in sorted(near, key=lambda pair: len(pair[0]))]


def _calls(client: Client, route: str, routes: Iterable[str]) -> bool:
    """Whether requests of `client` take `route`: below what it calls, or the nearest of `routes` above it."""
    above = [one for one in routes if covers(one, client.calls)]
    return covers(client.calls, route) or route == max(above, key=len, default="")


def _folder_of(declared: KeepalignToml) -> str:
    return os.path.dirname(os.path.abspath(declared.file))


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
