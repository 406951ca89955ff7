"""A command line that starts a Node.js server, with the package that it starts: npm scripts, the entry file,
and what the package's files set.

Of the files of a package all count that can run in the server; those that start another server do not, when
the entry file is known and starts one itself.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step, Unit
from keepalign.model.timers import Role
from keepalign.readers._flags import Table, Value, parse
from keepalign.readers._fragments import NodeFragment
from keepalign.readers._launch import program
from keepalign.readers._options import Options, flags_source
from keepalign.readers._reader import Absent, CommandLine, Note, Read, Word
from keepalign.readers.nodejs._source import (
    HEADERS,
    KEEP_ALIVE,
    REQUEST,
    SILENCE,
    Found,
    NodeSource,
    read_source,
)
from keepalign.readers.package_json import PackageJson
from keepalign.readers.shell import Variable, unwrap
from keepalign.units import Duration

OPTION: Final = "server.keepAliveTimeout"
_FURTHER: Final = {HEADERS: Role.SERVER_HEADER_READ, REQUEST: Role.SERVER_REQUEST_READ}
FASTIFY_OPTION: Final = "Fastify keepAliveTimeout"
NEXT_OPTION: Final = "next start --keepAliveTimeout"
_RUNNERS: Final = ("npm", "yarn", "pnpm")
_INITS: Final = ("tini", "dumb-init", "catatonit", "docker-init")
_NODES: Final = ("node", "nodejs", "ts-node", "tsx", "ts-node-dev", "nodemon")
_BUILT: Final = ("dist", "build", "out", "lib")
_NODE_FLAGS: Final = Table(
    switches=frozenset(),
    values=frozenset(
        {"--require", "--import", "--loader", "--experimental-loader", "--conditions", "--exec"}
    ),
    short={"-r": "--require", "-C": "--conditions"},
    abbreviated=False,
)
_NEXT_FLAGS: Final = Table(
    switches=frozenset({"--help"}),
    values=frozenset({"--port", "--hostname", "--keepAliveTimeout"}),
    short={"-p": "--port", "-H": "--hostname", "-h": "--help"},
    abbreviated=False,
)
_DEEPEST: Final = 5


@dataclass(frozen=True, slots=True)
class Package:
    """What the tree holds of one package.

    Args:
        described: its package.json.
        sources: its files that may start a server, set its limits or handle signals.
        workdir: where the image holds it.
    """

    described: PackageJson
    sources: tuple[SourceText, ...]
    workdir: str = "/"

    @property
    def folder(self) -> str:
        """Of its package.json."""
        return os.path.dirname(self.described.file)


def read_command(
    command: CommandLine, environment: Mapping[str, str | None] | None, package: Package | None
) -> NodeFragment | None:
    """What a command line says of the Node.js server that it starts; None when it starts none.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
        package: None when it is not known which one the command line starts.
    """
    env = dict(environment or {})
    first = (command.words[0].text or "").rpartition("/")[2] if command.words else ""
    line, runner = command, ""
    for _ in range(_DEEPEST):
        started = program(line.words, env)
        if started is None:
            return None
        name, given = started
        if name not in _RUNNERS:
            return _started(line, name, given, env, package, runner=runner, init=first in _INITS)
        if package is None:
            return _unread(command, "the package.json that holds its script is not known")
        runner = runner or name
        script = _script(given, package.described)
        if script is None:
            return None
        shell = (Word("sh", script.span), Word("-c", script.span), script)
        reason = "it is set when the container starts"
        variables = {key: Variable(text, reason=reason) for key, text in env.items()}
        behind = (*line.behind, name)
        line = unwrap(CommandLine(shell, line.style, script.span, behind=behind), variables)
        if line.words[: len(shell)] == shell:
            return None
    return None


def _script(given: Sequence[Word], package: PackageJson) -> Word | None:
    """The script that `npm start`, `npm run x`, `yarn x` mean."""
    words = [word.text for word in given if not (word.text or "-").startswith("-")]
    if words and words[0] in ("run", "run-script"):
        words = words[1:]
    return package.scripts.get(words[0] or "") if words else None


def _unread(command: CommandLine, reason: str) -> NodeFragment:
    here = Origin(OriginKind.FILE, (Step(command.place, "node"),))
    keep_alive = Unknown(option=OPTION, origin=here, reason=reason)
    return NodeFragment(command.place.file, keep_alive=keep_alive, place=command.place)


def _started(
    line: CommandLine,
    name: str,
    given: Sequence[Word],
    env: Mapping[str, str | None],
    package: Package | None,
    *,
    runner: str,
    init: bool,
) -> NodeFragment | None:
    notes = []
    if runner:
        text = (
            f"{runner} starts the server: whether SIGTERM reaches it depends on {runner}; start node itself"
        )
        notes.append(Note(line.place, text))
    if name == "next" and given and given[0].text == "start":
        return replace(_next(line, given[1:]), notes=tuple(notes), behind=line.behind)
    if name == "nest" and given and given[0].text == "start":
        entry = "dist/main.js"
    elif name in _NODES or name == "pm2-runtime":
        words = [w.text for w in parse(given, _NODE_FLAGS).positional]
        words = words[1:] if name == "pm2-runtime" and words[:1] == ["start"] else words
        entry = (words[0] or "") if words else ""
    else:
        return None
    if package is None:
        return _unread(line, "no package.json in the given folders belongs to what it starts")
    sources = [read_source(source, env) for source in package.sources]
    scope = _scope(sources, _entry(entry, sources, package))
    found = _package(line, scope, env, package, direct=not runner, init=init)
    return replace(found, notes=tuple(notes), behind=line.behind)


def _next(line: CommandLine, given: Sequence[Word]) -> NodeFragment:
    """`next start`."""
    flags = parse(given, _NEXT_FLAGS)
    options = Options(line, "next", [flags_source(flags)])
    port = options.count("--port")
    return NodeFragment(
        line.place.file,
        keep_alive=options.seconds(NEXT_OPTION, "--keepAliveTimeout", unit=Unit.MILLISECONDS),
        ports=(port,) if port is not None else () if options.find("--port") else (3000,),
        listens=True,
        place=line.place,
    )


def _entry(entry: str, sources: Sequence[NodeSource], package: Package) -> NodeSource | None:
    """The file that `node entry` starts: itself, or what it was built from."""
    path = entry or package.described.main
    if path in (".", "./"):
        path = package.described.main or "index.js"
    if path.startswith("/"):
        path = posixpath.relpath(path, package.workdir)
    stem = re.sub(r"\.[cm]?[jt]s$", "", posixpath.normpath(path))
    first, _, rest = stem.partition("/")
    stems = [stem]
    if first in _BUILT and rest:
        stems += [f"src/{rest}", rest]
    names = {one.file: os.path.relpath(one.file, package.folder or ".") for one in sources}
    by_stem = {re.sub(r"\.[cm]?[jt]sx?$", "", names[one.file]): one for one in sources}
    return next((by_stem[one] for one in stems if one in by_stem), None)


def _scope(sources: Sequence[NodeSource], entry: NodeSource | None) -> list[NodeSource]:
    """The files that can run in the server."""
    if entry is None or not entry.listens:
        return list(sources)
    return [one for one in sources if one is entry or not one.listens]


def _package(
    line: CommandLine,
    scope: Sequence[NodeSource],
    env: Mapping[str, str | None],
    package: Package,
    *,
    direct: bool,
    init: bool,
) -> NodeFragment:
    listening = [one for one in scope if one.listens]
    handled = any(one.sigterm for one in scope)
    closes = any(one.closes for one in scope)
    graceful = ""
    if direct and listening:
        if handled and closes:
            graceful = "on"
        elif not handled and init:
            # As process 1 the signal would do nothing at all: the kernel has no default action for it.
            graceful = "off"
    place = listening[0].place if len(listening) == 1 else line.place
    return NodeFragment(
        (place or line.place).file,
        keep_alive=_keep_alive(line, scope, env, package),
        ports=tuple(dict.fromkeys(port for one in listening for port in one.ports)),
        place=place or line.place,
        graceful=graceful,
        listens=bool(listening),
        further=_further(scope) if listening else {},
    )


def _keep_alive(
    line: CommandLine, scope: Sequence[NodeSource], env: Mapping[str, str | None], package: Package
) -> Read:
    here = Origin(OriginKind.FILE, (Step(line.place, "node"),))
    listening = [one for one in scope if one.listens]
    fastify, plain = any(one.fastify for one in scope), any(one.plain for one in scope)
    found = [one for source in scope for one in source.found if one.name == KEEP_ALIVE]
    assigned = [one for one in found if not one.fastify]
    if fastify and not assigned and any(one.own_server for one in scope):
        reason = "Fastify with serverFactory ignores its own option"
        return Unknown(option=FASTIFY_OPTION, origin=here, reason=reason)
    chosen = assigned or found
    option = FASTIFY_OPTION if (chosen and chosen[0].fastify) or (fastify and not chosen) else OPTION
    if chosen:
        return _one_of(chosen, option)
    if not listening:
        if "next" in package.described.dependencies and "KEEP_ALIVE_TIMEOUT" in env:
            # The standalone server that `next build` writes.
            text = env["KEEP_ALIVE_TIMEOUT"]
            what = f"KEEP_ALIVE_TIMEOUT={text or '…'}"
            value = Value(text, line.place, what, reason="its variable cannot be resolved")
            return _read(value, OPTION, None)
        reason = f"no file beside {package.described.file} calls listen(), so what serves there is not known"
        return Unknown(option=OPTION, origin=here, reason=reason)
    if fastify and plain:
        reason = "its files start servers with Fastify and without, which differ in their defaults"
        return Unknown(option=OPTION, origin=here, reason=reason)
    further = listening[0].further if len(listening) == 1 and not fastify else None
    return Absent(option, further)


def _further(scope: Sequence[NodeSource]) -> dict[Role, Read]:
    """What the files say of the other limits; of `server.timeout` only where somebody sets it.

    Its default depends on the release, and those that have one are long gone.
    """
    reads: dict[Role, Read] = {}
    for name, role in _FURTHER.items():
        found = [one for source in scope for one in source.found if one.name == name]
        assigned = [one for one in found if not one.fastify]
        option = f"server.{name}"
        reads[role] = _one_of(assigned or found, option) if found else Absent(option)
    silence = [one for source in scope for one in source.found if one.name == SILENCE]
    if silence:
        reads[Role.SERVER_BODY_READ] = _one_of(silence, f"server.{SILENCE}")
    return reads


def _one_of(found: Sequence[Found], option: str) -> Read:
    """What all of them say; unknown where they differ."""
    values = {one.value.text for one in found}
    if len(values) > 1:
        places = " and ".join(one.value.span.place for one in found if one.value.span is not None)
        first = found[0].value
        origin = Origin(OriginKind.FILE, _steps(first))
        return Unknown(option=option, origin=origin, reason=f"several places set it: {places}")
    value = found[0].value
    site = Site(value.site, unit=Unit.MILLISECONDS) if value.site is not None and len(found) == 1 else None
    return _read(value, option, site)


def _steps(value: Value) -> tuple[Step, ...]:
    assert value.span is not None
    return (Step(value.span, value.what), *(Step(place, name) for name, place in value.via))


def _read(value: Value, option: str, site: Site | None) -> Read:
    origin = Origin(OriginKind.FILE, _steps(value), note=value.note)
    if value.text is None or re.fullmatch(r"[0-9]{1,12}", value.text) is None:
        reason = value.reason if value.text is None else f"{value.text!r} is no whole number of milliseconds"
        return Unknown(option=option, origin=origin, site=site, reason=reason)
    number = int(value.text)
    if not number:
        return Unlimited(option=option, origin=origin, site=site)
    if number < 1000:
        trap = f"{number} ms: the number counts milliseconds"
        origin = replace(origin, note="; ".join(text for text in (trap, value.note) if text))
    return Explicit(option=option, origin=origin, site=site, value=Duration.of(ms=number))
