"""uvicorn: what one command line and its environment say of its timers; also as `fastapi run` starts it.

Precedence, weakest first: `UVICORN_TIMEOUT_KEEP_ALIVE` and its like, the flags. `fastapi run` and `fastapi
dev` hand on neither: their uvicorn has the defaults of its times.

Source: uvicorn/main.py, package 0.54.0 (a test compares the tables with it); fastapi_cli/cli.py, 0.0.34.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from keepalign.readers._flags import Parsed, Table, Value, parse
from keepalign.readers._fragments import UvicornFragment
from keepalign.readers._launch import program
from keepalign.readers._options import Lookup, Options, Source, flags_source, nothing_at_hand
from keepalign.readers._reader import Absent, CommandLine

TABLE: Final = Table(
    switches=frozenset({
        "--access-log", "--date-header", "--factory", "--help", "--http2", "--no-access-log",
        "--no-date-header", "--no-proxy-headers", "--no-server-header", "--no-use-colors", "--proxy-headers",
        "--reload", "--reset-contextvars", "--server-header", "--use-colors", "--version",
    }),
    values=frozenset({
        "--app-dir", "--backlog", "--env-file", "--fd", "--forwarded-allow-ips",
        "--h11-max-incomplete-event-size", "--header", "--host", "--http", "--interface", "--lifespan",
        "--limit-concurrency", "--limit-max-requests", "--limit-max-requests-jitter", "--log-config",
        "--log-level", "--loop", "--port", "--reload-delay", "--reload-dir", "--reload-exclude",
        "--reload-include", "--root-path", "--ssl-ca-certs", "--ssl-cert-reqs", "--ssl-certfile",
        "--ssl-ciphers", "--ssl-keyfile", "--ssl-keyfile-password", "--ssl-version",
        "--timeout-graceful-shutdown", "--timeout-keep-alive", "--timeout-worker-healthcheck", "--uds",
        "--workers", "--ws", "--ws-max-queue", "--ws-max-size", "--ws-per-message-deflate",
        "--ws-ping-interval", "--ws-ping-timeout",
    }),
    short={},
    abbreviated=False,
)  # fmt: skip
"""click, which takes no abbreviations."""

FASTAPI: Final = Table(
    switches=frozenset({
        "--help", "--no-proxy-headers", "--no-reload", "--proxy-headers", "--reload", "--verbose",
    }),
    values=frozenset({
        "--app", "--entrypoint", "--forwarded-allow-ips", "--host", "--port", "--reload-dir", "--root-path",
        "--workers",
    }),
    short={"-e": "--entrypoint", "-v": "--verbose"},
    abbreviated=False,
)  # fmt: skip

_ELSEWHERE: Final = ("--uds", "--fd")
_APPLICATION: Final = "UVICORN_APP"


def read_command(
    command: CommandLine,
    environment: Mapping[str, str | None] | None = None,
    _lookup: Lookup = nothing_at_hand,
) -> UvicornFragment | None:
    """What a command line says of uvicorn; None when it does not start uvicorn.

    Args:
        environment: every variable the process sees; None for one whose value is not resolved.
    """
    env = dict(environment or {})
    started = program(command.words, env)
    if started is None:
        return None
    name, given = started
    if name == "uvicorn":
        flags = parse(given, TABLE)
        return _fragment(Options(command, name, [flags_source(flags), _variables(env)]), flags, env)
    if name == "fastapi" and given and given[0].text in ("run", "dev"):
        flags = parse(given[1:], FASTAPI)
        port = {"--port": [_variable("PORT", env["PORT"])]} if env.get("PORT", "") != "" else {}
        options = Options(command, name, [flags_source(flags), Source("the environment", port)])
        return _fragment(options, flags, env, times=False)
    return None


def _variables(env: Mapping[str, str | None]) -> Source:
    """click takes an empty variable as unset."""
    found = {
        flag: [_variable(name, env[name])]
        for flag in TABLE.values
        if env.get(name := f"UVICORN_{flag[2:].replace('-', '_').upper()}", "") != ""
    }
    return Source("the environment", found)


def _variable(name: str, text: str | None) -> Value:
    reason = "" if text is not None else f"the environment variable {name} cannot be resolved"
    return Value(text, None, f"{name}={'…' if text is None else text}", reason=reason)


def _fragment(
    options: Options, flags: Parsed, env: Mapping[str, str | None], *, times: bool = True
) -> UvicornFragment:
    """`times`: the command has flags for them."""
    keep_alive, graceful = "timeout_keep_alive", "timeout_graceful_shutdown"
    place = options.command.place
    application = flags.positional[0].text if flags.positional else env.get(_APPLICATION)
    workers = options.count("--workers")
    if workers is None and options.find("--workers") is None and not options.hidden:
        text = env.get("WEB_CONCURRENCY") or ""
        workers = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
    return UvicornFragment(
        file=place.file,
        keep_alive=options.seconds(keep_alive, "--timeout-keep-alive") if times else Absent(keep_alive),
        graceful_timeout=(
            options.seconds(graceful, "--timeout-graceful-shutdown") if times else Absent(graceful)
        ),
        ports=_ports(options),
        workers=workers,
        application=application,
        place=place,
        traits={**options.recycling("--limit-max-requests"), **options.pinging("--ws-ping-interval")},
        notes=tuple(options.notes),
    )


def _ports(options: Options) -> tuple[int, ...]:
    if any(options.find(flag) is not None for flag in _ELSEWHERE):
        return ()
    if options.find("--port") is None:
        return () if options.hidden else (8000,)
    port = options.count("--port")
    return (port,) if port is not None else ()
