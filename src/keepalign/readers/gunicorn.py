"""gunicorn: what one command line, with its environment and its configuration file, says of its timers.

Precedence, weakest first: the configuration file, GUNICORN_CMD_ARGS, the flags; of a flag given twice the
last one counts. The configuration file is the one that the flags name, else GUNICORN_CMD_ARGS, else
`gunicorn.conf.py` of the working directory; only one is read.

Source: gunicorn/config.py and app/base.py, package 27.0.1.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Span, Step
from keepalign.readers import python_conf
from keepalign.readers._flags import Parsed, parse
from keepalign.readers._fragments import GunicornFragment
from keepalign.readers._gunicorn_flags import TABLE
from keepalign.readers._launch import program
from keepalign.readers._options import (
    Lookup,
    Options,
    Source,
    flags_source,
    from_conf,
    nothing_at_hand,
    unclear_word,
    unread,
)
from keepalign.readers._reader import CommandLine, Note, Read, Word

_OWN_LIMIT: Final = frozenset({
    "tornado", "gunicorn.workers.gtornado.TornadoWorker", "gevent_wsgi", "gevent_pywsgi",
    "gunicorn.workers.ggevent.GeventPyWSGIWorker",
})  # fmt: skip
"""Worker classes whose server never asks for `keepalive`: Tornado's own, gevent's pywsgi."""

ANY: Final = "*"
"""The worker class that cannot be resolved."""

_ARGUMENTS: Final = "GUNICORN_CMD_ARGS"
_OWN_CONF: Final = "gunicorn.conf.py"
_APPLICATION: Final = "application"
_NAMES: Final[Mapping[str, str]] = {
    "--timeout": "timeout", "--graceful-timeout": "graceful_timeout", "--keep-alive": "keepalive",
    "--worker-class": "worker_class", "--threads": "threads", "--workers": "workers", "--bind": "bind",
    "--max-requests": "max_requests", "--max-requests-jitter": "max_requests_jitter",
    _APPLICATION: "wsgi_app",
}  # fmt: skip
"""What the options are called in a configuration file. `wsgi_app` has no flag: there it is an argument."""


def splice(command: CommandLine, arguments: CommandLine | None) -> CommandLine:
    """A script's command with the caller's arguments in the place of `"$@"`.

    Further words then go to the end of the arguments, where the caller writes them; `None` (not known) leaves
    the command as it is.
    """
    if arguments is None or not any(w.splice for w in command.words):
        return command
    filled: list[Word] = []
    behind = (*command.behind, *arguments.behind)
    for word in command.words:
        filled += arguments.words if word.splice else (word,)
    if not arguments.words or arguments.append_at is None:
        return replace(command, words=tuple(filled), behind=behind)
    return replace(arguments, words=tuple(filled), place=command.place, behind=behind)


def read_command(
    command: CommandLine,
    environment: Mapping[str, str | None] | None = None,
    lookup: Lookup = nothing_at_hand,
) -> GunicornFragment | None:
    """What a command line says of gunicorn; None when it does not start gunicorn.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
        lookup: where its configuration file is found.
    """
    env = dict(environment or {})
    started = program(command.words, env)
    if started is None or started[0] not in ("gunicorn", "gunicorn.app.wsgiapp"):
        return None
    flags = parse(started[1], TABLE)
    variables = _from_environment(env)
    sources = [flags_source(flags), Source(_ARGUMENTS, variables.options, unclear_word(variables))]
    conf = _conf(flags, variables, env, lookup)
    if conf is not None:
        sources.append(conf)
    return _Reading(Options(command, "gunicorn", sources), env, flags).fragment()


def _from_environment(env: Mapping[str, str | None]) -> Parsed:
    """GUNICORN_CMD_ARGS; its words have no place in a file."""
    nowhere = Span("", 0, 0, 1, 1)
    parsed = Parsed()
    if _ARGUMENTS not in env:
        return parsed
    text = env[_ARGUMENTS]
    try:
        found = shlex.split(text) if text is not None else None
    except ValueError:
        found = None
    if found is None:
        parsed.unclear = Word(None, nowhere, reason=f"{_ARGUMENTS} cannot be resolved")
        return parsed
    parsed = parse([Word(w, nowhere) for w in found], TABLE)
    for option, values in parsed.options.items():
        parsed.options[option] = [replace(v, span=None, site=None) for v in values]
    return parsed


def _conf(flags: Parsed, variables: Parsed, env: Mapping[str, str | None], lookup: Lookup) -> Source | None:
    """The configuration file in use; None when there is none."""
    named = flags.last("--config") or variables.last("--config")
    if named is None:
        source = lookup(_OWN_CONF)
        if source is None:
            return None
    else:
        shown = (named.text or "the configuration file").removeprefix("file:")
        path = shown
        if shown.startswith("python:"):
            path = f"{shown.removeprefix('python:').replace('.', '/')}.py"
        source = lookup(path) if named.text is not None else None
        source = shown if source is None else source
    if isinstance(source, str):
        return Source(source, {}, unread(source))
    try:
        return from_conf(python_conf.read_conf(source, _NAMES.values(), env), _NAMES)
    except ReadError as error:
        return Source(source.file, {}, f"{unread(source.file)}, which is not understood ({error.message})")


class _Reading:
    """One start of gunicorn under way to its fragment."""

    def __init__(self, options: Options, env: Mapping[str, str | None], flags: Parsed) -> None:
        self._options = options
        self._env = env
        self._flags = flags

    def fragment(self) -> GunicornFragment:
        options, place = self._options, self._options.command.place
        threads = options.count("--threads")
        worker_class = self._worker_class(threads)
        return GunicornFragment(
            file=place.file,
            timeout=self._timeout(),
            graceful_timeout=options.seconds("graceful_timeout", "--graceful-timeout"),
            keep_alive=self._keep_alive(worker_class),
            ports=self._ports(),
            worker_class=worker_class,
            workers=self._workers(),
            threads=threads,
            application=self._application(),
            place=place,
            traits=options.recycling("--max-requests"),
            notes=tuple(options.notes),
        )

    def _application(self) -> str | None:
        if self._flags.positional:
            return self._flags.positional[0].text
        value = self._options.find(_APPLICATION)
        return value.text if value is not None else None

    def _timeout(self) -> Read:
        read = self._options.seconds("timeout", "--timeout")
        if isinstance(read, Explicit) and not read.value:
            return Unlimited(option=read.option, origin=read.origin, site=read.site)
        return read

    def _keep_alive(self, worker_class: str) -> Read:
        read = self._options.seconds("keepalive", "--keep-alive")
        here = Origin(OriginKind.FILE, (Step(self._options.command.place, f"worker class {worker_class}"),))
        origin = read.origin if isinstance(read, Explicit) else here
        if worker_class == "sync":
            note = "sync workers close each connection after its response"
            return Disabled(option="keepalive", origin=replace(here, note=note))
        if worker_class == ANY:
            reason = "the worker class is not known, and sync workers keep no connection"
            return Unknown(option="keepalive", origin=origin, reason=reason)
        if worker_class in _OWN_LIMIT:
            reason = f"{worker_class} workers ignore --keep-alive and have a limit of their own"
            return Unknown(option="keepalive", origin=origin, reason=reason)
        if isinstance(read, Explicit) and not read.value:
            return Disabled(option="keepalive", origin=read.origin, site=read.site)
        return read

    def _worker_class(self, threads: int | None) -> str:
        options = self._options
        value = options.find("--worker-class")
        if value is None and options.hidden:
            return ANY
        if value is not None and value.text is None:
            options.notes.append(Note(value.span, f"the worker class is not known: {value.reason}"))
            return ANY
        name = value.text if value is not None and value.text else "sync"
        if name != "sync" and not name.endswith("SyncWorker"):
            return name
        if threads is None and (options.find("--threads") or options.hidden):
            return ANY  # more than one thread makes sync workers gthread
        return "gthread" if (threads or 1) > 1 else "sync"

    def _workers(self) -> int | None:
        if self._options.find("--workers") is None and not self._options.hidden:
            text = self._env.get("WEB_CONCURRENCY") or ""
            return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
        return self._options.count("--workers")

    def _ports(self) -> tuple[int, ...]:
        port = self._env.get("PORT", "8000")
        return self._options.ports("--bind", [f":{port}"] if port else [])
