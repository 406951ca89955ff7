"""From roots to request paths: what `check`, `fix` and `prove` start from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keepalign.errors import NothingToRead, UsageError
from keepalign.join.paths import DeclaredBalancer, Joined, Target, declared_balancer, join
from keepalign.model.path import Stack
from keepalign.model.source import Origin, OriginKind, SourceText
from keepalign.model.workload import Endpoint, Workload
from keepalign.readers._reader import Note
from keepalign.readers.tree import Tree, read_tree
from keepalign.units import Duration

_IN_FRONT_HINT = "for example --in-front aws-alb:idle_timeout=60s,deregistration_delay=300s"


@dataclass(frozen=True, slots=True)
class _Request:
    """What the user asked to read; kept so that edited bytes can be read the same way."""

    roots: tuple[str, ...]
    in_front: tuple[str, ...]
    longest_request: Duration | None
    longest_silence: Duration | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stack and what it was made of.

    Args:
        sources: every file that was read, by the name under which spans show it.
        targets: what the lab needs to run the stack.
        notes: what readers met and could not use.
        time_scale_env: environment variable by which the application divides its times; empty: none.
    """

    stack: Stack
    sources: Mapping[str, SourceText]
    targets: tuple[Target, ...]
    notes: tuple[Note, ...]
    time_scale_env: str
    workload: Workload
    request: _Request

    def reread(self, overlay: Mapping[str, bytes]) -> Loaded:
        """The same roots with some files' bytes replaced: what `fix` would leave."""
        return _load(self.request, overlay)


def load_stack(
    roots: Sequence[str],
    *,
    overlay: Mapping[str, bytes] | None = None,
    in_front: Sequence[str] = (),
    longest_request: Duration | None = None,
    longest_silence: Duration | None = None,
) -> Loaded:
    """Read and join everything below `roots`.

    Args:
        overlay: file name to bytes that stand for what is on disk.
        in_front: "aws-alb:idle_timeout=60s": a balancer that the tree does not hold.
        longest_request, longest_silence: declared for every endpoint that keepalign.toml does not name.

    Raises:
        UsageError: a root does not exist, or `in_front` cannot be understood.
        ReadError: a file cannot be read or understood.
        NothingToRead: no file below the roots is one that keepalign reads.
    """
    request = _Request(tuple(roots), tuple(in_front), longest_request, longest_silence)
    return _load(request, overlay or {})


def _load(request: _Request, overlay: Mapping[str, bytes]) -> Loaded:
    tree = read_tree(request.roots, overlay=overlay)
    if not (tree.terraform or tree.apache or tree.dockerfiles):
        raise NothingToRead(
            f"nothing that keepalign reads is below {', '.join(request.roots)}",
            hint="it reads Terraform (*.tf), Apache httpd (httpd.conf), Dockerfiles and entrypoint scripts",
        )
    workload = _workload(tree, request)
    joined: Joined = join(tree, workload, hints=_container_hints(tree), in_front=_in_front(tree, request))
    return Loaded(
        stack=joined.stack,
        sources=tree.sources,
        targets=joined.targets,
        notes=tree.notes,
        time_scale_env=next((d.hints.time_scale_env for d in tree.declared if d.hints.time_scale_env), ""),
        workload=workload,
        request=request,
    )


def _container_hints(tree: Tree) -> Mapping[str, str]:
    """Container name to what builds it; paths as the walk names them."""
    hints: dict[str, str] = {}
    for declared in tree.declared:
        base = os.path.dirname(declared.file)
        for name, path in declared.hints.containers.items():
            hints[name] = os.path.normpath(os.path.join(base, path))
    return hints


def _in_front(tree: Tree, request: _Request) -> list[DeclaredBalancer]:
    """The declared balancers, those of the command line first."""
    declared: list[tuple[str, Mapping[str, str], Origin]] = []
    for text in request.in_front:
        kind, _, rest = text.partition(":")
        pairs = [pair.partition("=") for pair in rest.split(",") if pair]
        if any(not sign for _, sign, _ in pairs):
            raise UsageError(f"--in-front {text}: options are NAME=DURATION", hint=_IN_FRONT_HINT)
        flags = {name.strip(): value.strip() for name, _, value in pairs}
        declared.append((kind, flags, Origin(OriginKind.COMMAND_LINE, note=f"--in-front {text}")))
    for fragment in tree.declared:
        declared.extend(fragment.hints.in_front)
    balancers = []
    for kind, options, origin in declared:
        if kind != "aws-alb":
            raise UsageError(f"{kind!r} is no balancer that keepalign knows", hint=_IN_FRONT_HINT)
        try:
            balancers.append(declared_balancer(options, origin))
        except ValueError as error:
            raise UsageError(f"{origin.note or kind}: {error}", hint=_IN_FRONT_HINT) from error
    return balancers


def _workload(tree: Tree, request: _Request) -> Workload:
    """What keepalign.toml declares, and what the command line declares for all that it does not name."""
    endpoints = [endpoint for declared in tree.declared for endpoint in declared.workload.endpoints]
    if request.longest_request is not None or request.longest_silence is not None:
        flags = {"--longest-request": request.longest_request, "--longest-silence": request.longest_silence}
        note = " ".join(f"{name} {value}" for name, value in flags.items() if value is not None)
        longest = request.longest_request
        if longest is not None and request.longest_silence is not None and longest < request.longest_silence:
            raise UsageError(f"{note}: a request is at least as long as its longest silence")
        endpoints = [one for one in endpoints if one.path != "/"]
        endpoints.append(
            Endpoint(
                path="/",
                longest_silence=request.longest_silence,
                longest_request=longest if longest is not None else request.longest_silence,
                origin=Origin(OriginKind.COMMAND_LINE, note=note),
            )
        )
    return Workload(tuple(endpoints))
