"""From roots to request paths: what `check`, `fix` and `prove` start from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from keepalign.errors import NothingToRead, UsageError
from keepalign.join.declared import Declarations, DeclaredBalancer, declared_balancer
from keepalign.join.paths import Target, join
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
    standard_input: bytes
    only: str = ""
    """Name of the one target that is wanted; empty: all."""


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

    def only(self, target: str) -> Loaded:
        """The same with this target alone, and the paths through it; so is what reread() makes of it."""
        return _only(replace(self, request=replace(self.request, only=target)))


def _only(loaded: Loaded) -> Loaded:
    name = loaded.request.only
    if not name:
        return loaded
    targets = tuple(target for target in loaded.targets if target.name == name)
    wanted = {path for target in targets for path in target.paths}
    paths = tuple(path for path in loaded.stack.paths if path.name in wanted)
    return replace(loaded, targets=targets, stack=replace(loaded.stack, paths=paths))


def load_stack(
    roots: Sequence[str],
    *,
    overlay: Mapping[str, bytes] | None = None,
    in_front: Sequence[str] = (),
    longest_request: Duration | None = None,
    longest_silence: Duration | None = None,
    standard_input: bytes = b"",
) -> Loaded:
    """Read and join everything below `roots`.

    Args:
        overlay: file name to bytes that stand for what is on disk.
        in_front: "aws-alb:idle_timeout=60s": a balancer that the tree does not hold; at most one.
        longest_request, longest_silence: declared for every endpoint that keepalign.toml does not name.
        standard_input: a Terraform plan as JSON; what the root "-" stands for.

    Raises:
        UsageError: a root does not exist, or `in_front` cannot be understood.
        ReadError: a file cannot be read or understood.
        NothingToRead: below the roots is neither a balancer nor a server, nor anything that hides one.
    """
    request = _Request(tuple(roots), tuple(in_front), longest_request, longest_silence, standard_input)
    return _load(request, overlay or {})


def _load(request: _Request, overlay: Mapping[str, bytes]) -> Loaded:
    tree = read_tree(request.roots, overlay=overlay, standard_input=request.standard_input)
    declarations = Declarations(tree.declared, _everywhere(request))
    joined = join(tree, declarations, in_front=_in_front(tree, request), roots=request.roots)
    notes = (*tree.notes, *joined.notes)
    if not (joined.stack.paths or joined.stack.unjoined or notes):
        _nothing(tree, request.roots)
    loaded = Loaded(
        stack=declarations.beside(joined.stack),
        sources=tree.sources,
        targets=joined.targets,
        notes=notes,
        time_scale_env=next((d.hints.time_scale_env for d in tree.declared if d.hints.time_scale_env), ""),
        workload=declarations.workload(),
        request=request,
    )
    return _only(loaded)


def _nothing(tree: Tree, roots: Sequence[str]) -> NoReturn:
    """Raises: NothingToRead: there is neither a balancer nor a server in what was read, if anything was."""
    where = ", ".join(roots)
    stacks = (*tree.aws, *tree.kubernetes, *tree.compose, *tree.procfiles, *tree.supervisors)
    if not (stacks or tree.dockerfiles):
        raise NothingToRead(
            f"nothing that keepalign reads is below {where}",
            hint="it reads Terraform (*.tf, plans as JSON), CloudFormation, CDK, ECS task definitions,"
            " Kubernetes (Kustomize, Helm), docker-compose, Procfiles, Dockerfiles with what they start, and"
            " the configuration of Apache httpd, nginx, HAProxy, Envoy, Traefik and Caddy",
        )
    raise NothingToRead(
        f"neither a load balancer nor a web server is defined below {where}",
        hint=f"give the folders that define them too: keepalign check {shlex.join(roots)} TERRAFORM HTTPD",
    )


def _in_front(tree: Tree, request: _Request) -> DeclaredBalancer | None:
    """The declared balancer; one on the command line hides those of the files.

    Raises: UsageError: it cannot be understood, or there are several.
    """
    given = [_flag(text) for text in request.in_front]
    given = given or [one for fragment in tree.declared for one in fragment.hints.in_front]
    balancers = []
    for kind, options, origin in given:
        if kind != "aws-alb":
            raise UsageError(f"{kind!r} is no balancer that keepalign knows", hint=_IN_FRONT_HINT)
        try:
            balancers.append(declared_balancer(options, origin))
        except ValueError as error:
            place = origin.note or (origin.use.place if origin.use is not None else kind)
            raise UsageError(f"{place}: {error}", hint=_IN_FRONT_HINT) from error
    if len(balancers) > 1:
        said = " and ".join(one.said for one in balancers)
        raise UsageError(
            f"two balancers are declared ({said}), and nothing says which server each stands in front of",
            hint="give the folders of one service at a time, with its balancer",
        )
    return balancers[0] if balancers else None


def _flag(text: str) -> tuple[str, Mapping[str, str], Origin]:
    """--in-front KIND:NAME=DURATION,… Raises: UsageError."""
    kind, _, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    if any(not sign for _, sign, _ in pairs):
        raise UsageError(f"--in-front {text}: options are NAME=DURATION", hint=_IN_FRONT_HINT)
    options = {name.strip(): value.strip() for name, _, value in pairs}
    return kind, options, Origin(OriginKind.COMMAND_LINE, note=f"--in-front {text}")


def _everywhere(request: _Request) -> Endpoint | None:
    """What the command line declares for all endpoints that no keepalign.toml names.

    Raises: UsageError: a request shorter than a silence in it.
    """
    flags = {"--longest-request": request.longest_request, "--longest-silence": request.longest_silence}
    note = " ".join(f"{name} {value}" for name, value in flags.items() if value is not None)
    if not note:
        return None
    longest, silence = request.longest_request, request.longest_silence
    if longest is not None and silence is not None and longest < silence:
        raise UsageError(
            f"{note}: a request is at least as long as its longest silence",
            hint="raise --longest-request, or lower --longest-silence",
        )
    return Endpoint(
        path="/",
        longest_silence=silence,
        longest_request=longest if longest is not None else silence,
        origin=Origin(OriginKind.COMMAND_LINE, note=note),
    )
