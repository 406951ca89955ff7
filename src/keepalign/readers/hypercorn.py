"""hypercorn: what one command line, with its configuration file, says of its timers.

Precedence, weakest first: the configuration file, the flags. `-c` names a TOML file, with `file:` in front of
it a Python file, with `python:` a module; without it none is read.

Source: hypercorn/__main__.py and config.py, package 0.18.0 (a test compares the tables with it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keepalign.errors import ReadError
from keepalign.readers import hypercorn_toml, python_conf
from keepalign.readers._flags import Parsed, Table, parse
from keepalign.readers._fragments import HypercornFragment
from keepalign.readers._launch import program
from keepalign.readers._options import (
    Lookup,
    Options,
    Source,
    flags_source,
    from_conf,
    nothing_at_hand,
    unread,
)
from keepalign.readers._reader import CommandLine

TABLE: Final = Table(
    switches=frozenset({"--daemon", "--debug", "--help", "--reload"}),
    values=frozenset({
        "--access-log", "--access-logfile", "--access-logformat", "--backlog", "--bind", "--ca-certs",
        "--cert-reqs", "--certfile", "--ciphers", "--config", "--error-log", "--error-logfile",
        "--graceful-timeout", "--group", "--insecure-bind", "--keep-alive", "--keyfile",
        "--keyfile-password", "--log-config", "--log-file", "--log-level", "--max-requests",
        "--max-requests-jitter", "--pid", "--quic-bind", "--read-timeout", "--root-path", "--server-name",
        "--statsd-host", "--statsd-prefix", "--umask", "--user", "--verify-mode", "--websocket-ping-interval",
        "--worker-class", "--workers",
    }),
    short={
        "-b": "--bind", "-c": "--config", "-g": "--group", "-k": "--worker-class", "-m": "--umask",
        "-p": "--pid", "-u": "--user", "-w": "--workers", "-D": "--daemon", "-h": "--help",
    },
)  # fmt: skip

_NAMES: Final[Mapping[str, str]] = {
    "--keep-alive": "keep_alive_timeout", "--graceful-timeout": "graceful_timeout",
    "--read-timeout": "read_timeout", "--bind": "bind", "--workers": "workers",
    "--max-requests": "max_requests", "--max-requests-jitter": "max_requests_jitter",
}  # fmt: skip
"""What the options are called in a configuration file."""


def read_command(
    command: CommandLine,
    environment: Mapping[str, str | None] | None = None,
    lookup: Lookup = nothing_at_hand,
) -> HypercornFragment | None:
    """What a command line says of hypercorn; None when it does not start hypercorn.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
        lookup: where its configuration file is found.
    """
    env = dict(environment or {})
    started = program(command.words, env)
    if started is None or started[0] != "hypercorn":
        return None
    flags = parse(started[1], TABLE)
    sources = [flags_source(flags)]
    conf = _conf(flags, env, lookup)
    if conf is not None:
        sources.append(conf)
    options = Options(command, "hypercorn", sources)
    place = command.place
    return HypercornFragment(
        file=place.file,
        keep_alive=options.seconds("keep_alive_timeout", "--keep-alive", fractions=True),
        graceful_timeout=options.seconds("graceful_timeout", "--graceful-timeout", fractions=True),
        read_timeout=options.seconds("read_timeout", "--read-timeout", fractions=True),
        ports=options.ports("--bind", ["127.0.0.1:8000"]),
        workers=options.count("--workers"),
        application=flags.positional[0].text if flags.positional else None,
        place=place,
        traits={**options.recycling("--max-requests"), **options.pinging("--websocket-ping-interval")},
        notes=tuple(options.notes),
    )


def _conf(flags: Parsed, env: Mapping[str, str | None], lookup: Lookup) -> Source | None:
    """The configuration file in use; None when there is none."""
    named = flags.last("--config")
    if named is None:
        return None
    shown = named.text or "the configuration file"
    kind, _, rest = shown.partition(":")
    path = shown
    if kind in ("file", "python"):
        path = rest if kind == "file" else f"{rest.replace('.', '/')}.py"
    source = lookup(path) if named.text is not None else None
    if source is None or isinstance(source, str):
        return Source(shown, {}, unread(source or shown))
    try:
        if kind in ("file", "python"):
            return from_conf(python_conf.read_conf(source, _NAMES.values(), env), _NAMES)
        return from_conf(hypercorn_toml.read_conf(source, _NAMES.values()), _NAMES)
    except ReadError as error:
        return Source(source.file, {}, f"{unread(source.file)}, which is not understood ({error.message})")
