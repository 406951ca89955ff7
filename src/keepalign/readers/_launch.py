"""Which program a command line starts, behind those that only start another one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from keepalign.readers._reader import Word

_WRAPPERS: Final[Mapping[str, tuple[str, ...]]] = {
    "exec": (), "nohup": (), "setsid": (), "catatonit": (), "docker-init": (), "ddtrace-run": (),
    "opentelemetry-instrument": (), "tini": ("-p", "-e"), "dumb-init": ("-r", "--rewrite"), "nice": ("-n",),
    "env": ("-u", "-C", "--unset", "--chdir"), "cross-env": (), "dotenv": ("-e", "-f"),
}  # fmt: skip
"""Programs that start the rest of their words, with their flags that take a word of their own."""

_TWO_WORD_WRAPPERS: Final = {
    "poetry": "run", "pipenv": "run", "uv": "run", "pdm": "run", "newrelic-admin": "run-program",
}  # fmt: skip
_RUN_FLAGS: Final = (
    "--directory", "--env-file", "--extra", "--group", "--no-group", "--only-group", "--package", "--project",
    "--python", "--with", "-p",
)  # fmt: skip
"""Flags of `uv run` that take a word of their own."""

_ASSIGNING: Final = ("env", "cross-env")
_USER_WRAPPERS: Final = ("gosu", "su-exec")


def program(
    given: Sequence[Word], env: dict[str, str | None] | None = None
) -> tuple[str, Sequence[Word]] | None:
    """The name of the program, for `python -m` that of the module, and the words behind it.

    None where it is not known. A folder is no part of the name. `env NAME=value` goes into `env`.
    """
    env = {} if env is None else env
    while given:
        name = (given[0].text or "").rpartition("/")[2]
        if re.fullmatch(r"(python|pypy)[0-9.]*", name):
            at = next((i for i, w in enumerate(given) if w.text == "-m"), len(given))
            module = given[at + 1].text if at + 1 < len(given) else None
            return (module, given[at + 2 :]) if module is not None else (name, given[1:])
        if name in _WRAPPERS:
            given = _behind_wrapper(given[1:], _WRAPPERS[name], env if name in _ASSIGNING else None)
        elif name in _TWO_WORD_WRAPPERS and len(given) > 1 and given[1].text == _TWO_WORD_WRAPPERS[name]:
            given = _behind_wrapper(given[2:], _RUN_FLAGS, None)
        elif name in _USER_WRAPPERS:
            given = given[2:]
        else:
            return (name, given[1:]) if name else None
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
