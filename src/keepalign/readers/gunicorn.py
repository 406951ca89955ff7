"""gunicorn: what one command line, with its environment, says of its timers.

Precedence, weakest first: the configuration file, GUNICORN_CMD_ARGS, the flags; of a flag given twice the
last one counts.

Source: gunicorn/config.py and app/base.py, package 27.0.1.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from keepalign.model.setting import Disabled, Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, Span, Step
from keepalign.readers._fragments import GunicornFragment
from keepalign.readers._gunicorn_flags import Parsed, Value, parse
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Note, Read, Word
from keepalign.units import Duration

_WRAPPERS: Final[Mapping[str, tuple[str, ...]]] = {
    "exec": (), "nohup": (), "setsid": (), "catatonit": (), "docker-init": (), "ddtrace-run": (),
    "opentelemetry-instrument": (), "tini": ("-p", "-e"), "dumb-init": ("-r", "--rewrite"), "nice": ("-n",),
    "env": ("-u", "-C", "--unset", "--chdir"),
}  # fmt: skip
"""Programs that start the rest of their words, with their flags that take a word of their own."""

_TWO_WORD_WRAPPERS: Final = {
    "poetry": "run", "pipenv": "run", "uv": "run", "pdm": "run", "newrelic-admin": "run-program",
}  # fmt: skip
_USER_WRAPPERS: Final = ("gosu", "su-exec")

_OWN_LIMIT: Final = frozenset({
    "tornado", "gunicorn.workers.gtornado.TornadoWorker", "gevent_wsgi", "gevent_pywsgi",
    "gunicorn.workers.ggevent.GeventPyWSGIWorker",
})  # fmt: skip
"""Worker classes whose server never asks for `keepalive`: Tornado's own, gevent's pywsgi."""

ANY: Final = "*"
"""The worker class that cannot be resolved."""


def splice(command: CommandLine, arguments: CommandLine | None) -> CommandLine:
    """A script's command with the caller's arguments in the place of `"$@"`.

    Further words then go to the end of the arguments, where the caller writes them; `None` (not known) leaves
    the command as it is.
    """
    if arguments is None or not any(w.splice for w in command.words):
        return command
    filled: list[Word] = []
    for word in command.words:
        filled += arguments.words if word.splice else (word,)
    if not arguments.words or arguments.append_at is None:
        return replace(command, words=tuple(filled))
    return CommandLine(tuple(filled), arguments.style, command.place, arguments.append_at)


def read_command(
    command: CommandLine, environment: Mapping[str, str | None] | None = None
) -> GunicornFragment | None:
    """What a command line says of gunicorn; None when it does not start gunicorn.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
    """
    env = dict(environment or {})
    given = _program(command.words, env)
    if given is None:
        return None
    notes: list[Note] = []
    flags = parse(given)
    variables = _from_environment(env)
    return _Reading(command, env, flags, variables, notes).fragment()


def _basename(word: Word) -> str:
    return (word.text or "").rpartition("/")[2]


def _program(given: Sequence[Word], env: dict[str, str | None]) -> Sequence[Word] | None:
    """The words behind `gunicorn`; None when another program runs. `env NAME=value` goes into `env`."""
    while given:
        name = _basename(given[0])
        if name == "gunicorn":
            return given[1:]
        if re.fullmatch(r"(python|pypy)[0-9.]*", name):
            at = next((i for i, w in enumerate(given) if w.text == "-m"), len(given))
            module = given[at + 1].text if at + 1 < len(given) else None
            return given[at + 2 :] if module in ("gunicorn", "gunicorn.app.wsgiapp") else None
        if name in _WRAPPERS:
            given = _behind_wrapper(given[1:], _WRAPPERS[name], env if name == "env" else None)
        elif name in _USER_WRAPPERS or (len(given) > 1 and given[1].text == _TWO_WORD_WRAPPERS.get(name)):
            given = given[2:]
        else:
            return None
    return None


def _behind_wrapper(
    given: Sequence[Word], with_word: tuple[str, ...], env: dict[str, str | None] | None
) -> Sequence[Word]:
    while given:
        text = given[0].text or ""
        if text == "--":
            return given[1:]
        if text.startswith("-"):
            given = given[2:] if text in with_word else given[1:]
        elif env is not None and re.match(r"[A-Za-z_]\w*=", text):
            name, _, value = text.partition("=")
            env[name] = value
            given = given[1:]
        else:
            return given
    return given


def _from_environment(env: Mapping[str, str | None]) -> Parsed:
    """GUNICORN_CMD_ARGS; its words have no place in a file."""
    name = "GUNICORN_CMD_ARGS"
    nowhere = Span("", 0, 0, 1, 1)
    parsed = Parsed()
    if name not in env:
        return parsed
    text = env[name]
    try:
        found = shlex.split(text) if text is not None else None
    except ValueError:
        found = None
    if found is None:
        parsed.unclear = Word(None, nowhere, reason=f"{name} cannot be resolved")
        return parsed
    parsed = parse([Word(w, nowhere) for w in found])
    for option, values in parsed.options.items():
        parsed.options[option] = [replace(v, span=None, site=None) for v in values]
    return parsed


class _Reading:
    """One command line under way to its fragment."""

    def __init__(
        self,
        command: CommandLine,
        env: Mapping[str, str | None],
        flags: Parsed,
        variables: Parsed,
        notes: list[Note],
    ) -> None:
        self.command = command
        self.env = env
        self.flags = flags
        self.variables = variables
        self.notes = notes
        config = flags.last("--config") or variables.last("--config")
        self.hidden = ""
        """Why an option that is not written may still be set; empty when it is not."""
        for unclear in (flags.unclear, variables.unclear):
            if unclear is not None:
                self.hidden = unclear.reason or "the command line holds a word that cannot be resolved"
                break
        else:
            if config is not None:
                shown = (config.text or "the configuration file").removeprefix("file:")
                self.hidden = f"it may be set in {shown}"

    def fragment(self) -> GunicornFragment:
        place = self.command.place
        threads = self._count("--threads")
        worker_class = self._worker_class(threads)
        if self.hidden:
            self.notes.append(Note(place, f"options that the flags do not name are not known: {self.hidden}"))
        return GunicornFragment(
            file=place.file,
            timeout=self._timeout(),
            graceful_timeout=self._seconds("graceful_timeout", "--graceful-timeout"),
            keep_alive=self._keep_alive(worker_class),
            ports=self._ports(),
            worker_class=worker_class,
            workers=self._workers(),
            threads=threads,
            application=self.flags.positional[0].text if self.flags.positional else None,
            place=place,
            notes=tuple(self.notes),
        )

    def _find(self, option: str) -> Value | None:
        return self.flags.last(option) or self.variables.last(option)

    def _site(self, flag: str) -> Site | None:
        """At the end of the command line."""
        if self.command.append_at is None:
            return None
        listed = self.command.style is CommandStyle.LIST
        template = f', "{flag}", "{{value}}"' if listed else f" {flag} {{value}}"
        return Site(self.command.append_at, template)

    def _origin(self, value: Value) -> Origin:
        if value.span is None:
            return Origin(OriginKind.FILE, (Step(self.command.place, value.what),), note="GUNICORN_CMD_ARGS")
        steps = [Step(value.span, value.what), *(Step(place, name) for name, place in value.via)]
        if value.site is not None and value.via and value.text is not None:
            steps.append(Step(value.site, value.text))
        return Origin(OriginKind.FILE, tuple(steps))

    def _seconds(self, option: str, flag: str) -> Read:
        value = self._find(flag)
        if value is None:
            if not self.hidden:
                return Absent(option, self._site(flag))
            here = Origin(OriginKind.FILE, (Step(self.command.place, "gunicorn"),))
            return Unknown(option=option, origin=here, site=self._site(flag), reason=self.hidden)
        origin = self._origin(value)
        # A flag at the end overrides GUNICORN_CMD_ARGS; a flag in pieces has no place of its own.
        site = Site(value.site) if value.site else self._site(flag) if value.span is None else None
        if value.text is None:
            reason = value.reason or "it cannot be resolved"
            return Unknown(option=option, origin=origin, site=site, reason=reason)
        if not re.fullmatch(r"[0-9]{1,9}", value.text.strip()):
            reason = f"{value.text!r} is no whole number of seconds"
            return Unknown(option=option, origin=origin, site=site, reason=reason)
        return Explicit(option=option, origin=origin, site=site, value=Duration.of(s=int(value.text)))

    def _timeout(self) -> Read:
        read = self._seconds("timeout", "--timeout")
        if isinstance(read, Explicit) and not read.value:
            return Unlimited(option=read.option, origin=read.origin, site=read.site)
        return read

    def _keep_alive(self, worker_class: str) -> Read:
        read = self._seconds("keepalive", "--keep-alive")
        here = Origin(OriginKind.FILE, (Step(self.command.place, f"worker class {worker_class}"),))
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
        value = self._find("--worker-class")
        if value is None and self.hidden:
            return ANY
        if value is not None and value.text is None:
            self.notes.append(Note(value.span, f"the worker class is not known: {value.reason}"))
            return ANY
        name = value.text if value is not None and value.text else "sync"
        if name != "sync" and not name.endswith("SyncWorker"):
            return name
        if threads is None and (self._find("--threads") or self.hidden):
            return ANY  # more than one thread makes sync workers gthread
        return "gthread" if (threads or 1) > 1 else "sync"

    def _count(self, flag: str) -> int | None:
        value = self._find(flag)
        text = value.text.strip() if value is not None and value.text is not None else ""
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None

    def _workers(self) -> int | None:
        if self._find("--workers") is None and not self.hidden:
            text = self.env.get("WEB_CONCURRENCY") or ""
            return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
        return self._count("--workers")

    def _ports(self) -> tuple[int, ...]:
        binds = self.flags.options.get("--bind") or self.variables.options.get("--bind")
        if binds is None:
            if self.hidden:
                return ()
            if "PORT" not in self.env:
                return (8000,)
            return _ports_of([f":{self.env['PORT']}"]) if self.env["PORT"] else ()
        for bind in binds:
            if bind.text is None:
                self.notes.append(Note(bind.span, f"a bind address is not known: {bind.reason}"))
        return _ports_of(b.text for b in binds if b.text is not None)


def _ports_of(addresses: Iterable[str]) -> tuple[int, ...]:
    """Of `host:port`, `:port`, `[::]:port`, or a host alone, which means 8000; none for unix: and fd:."""
    ports: dict[int, None] = {}
    for address in addresses:
        # gunicorn takes several addresses in one value, with commas between.
        for part in address.split(","):
            text = part.strip().removeprefix("tcp://").removeprefix("http://")
            if text.startswith(("unix:", "fd:")) or not text:
                continue
            behind = text.rpartition("]")[2]
            port = behind.rpartition(":")[2] if ":" in behind else "8000"
            if re.fullmatch(r"[0-9]{1,5}", port):
                ports[int(port)] = None
    return tuple(ports)
