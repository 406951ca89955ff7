"""Runs the user's gunicorn command line with the gunicorn beside keepalign, or the one on PATH.

Replaced: the program, the bind addresses, the times, scaled (written out when the command leaves them to
defaults), and the application when it cannot start here or cannot be hurried. Left out: what belongs to the
image's files and users (pid file, logs, user, certificates) and what would call other machines (statsd,
syslog). Kept: every other word.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Final

from keepalign.errors import LabError
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.readers._fragments import GunicornFragment
from keepalign.readers._gunicorn_flags import OPTIONAL_VALUE, SHORT, SWITCHES, VALUES
from keepalign.readers._reader import CommandLine, Word
from keepalign.units import Duration

_HINT: Final = 'install it beside keepalign: pip install "keepalign[lab]"'
_ARGUMENTS: Final = "GUNICORN_CMD_ARGS"
_TIMES: Final = {
    "timeout": "--timeout",
    "graceful_timeout": "--graceful-timeout",
    "keepalive": "--keep-alive",
}
_LEFT_OUT: Final = frozenset(
    {
        "--bind", "--pid", "--user", "--group", "--daemon", "--error-logfile", "--log-file",
        "--access-logfile", "--control-socket", "--statsd-host", "--log-syslog", "--log-syslog-to",
        "--certfile", "--keyfile", "--ca-certs", "--reload", "--log-level", "--log-config",
        "--log-config-json",
    }
)  # fmt: skip
# Files of the application, or code of it: a stand-in does without.
_OF_THE_APPLICATION: Final = frozenset({"--config", "--chdir", "--pythonpath", "--paste", "--logger-class"})
_LONG: Final = SWITCHES | OPTIONAL_VALUE | VALUES
STAND_IN: Final = "stand_in:application"


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """The gunicorn of this machine."""

    program: str
    version: str


@cache
def find() -> Gunicorn:
    """The gunicorn of keepalign's own environment, else of PATH.

    Raises: LabError: there is none.
    """
    beside = os.path.join(os.path.dirname(sys.executable), "gunicorn")
    program = beside if os.access(beside, os.X_OK) else shutil.which("gunicorn")
    if program is None:
        raise LabError("gunicorn is missing", hint=_HINT)
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    version = re.search(r"(\d+\.\d+(\.\d+)?)", answer.stdout)
    if answer.returncode != 0 or version is None:
        raise LabError(f"{program} --version fails: {answer.stderr.strip()[-200:]}", hint=_HINT)
    return Gunicorn(program, version[1])


def arguments(
    command: CommandLine,
    fragment: GunicornFragment,
    *,
    ports: Sequence[int],
    times: Mapping[str, Setting],
    scale: int,
    application: str | None = None,
) -> list[str]:
    """The user's words behind the program, as the lab runs them.

    Args:
        ports: to bind on 127.0.0.1.
        times: gunicorn's option name (`timeout`, `graceful_timeout`, `keepalive`) to what holds in life.
        scale: all times are divided by it, rounded up to whole seconds.
        application: stands for the user's when given.
    Raises: LabError: a word of the command line is not known.
    """
    flags = [word for port in ports for word in ("--bind", f"127.0.0.1:{port}")]
    flags += ["--log-level", "info"]  # it says when its workers run
    restated = set()
    for option, flag in _TIMES.items():
        setting = times.get(option)
        value = value_of(setting)
        if value is not None:
            whole = (value / scale).ceil_to(Duration.of(s=1)).us // 1_000_000
            flags += [flag, str(whole)]
        elif isinstance(setting, Unlimited):
            flags += [flag, "0"]
        else:
            continue
        restated.add(flag)
    left_out = _LEFT_OUT | restated | (_OF_THE_APPLICATION if application is not None else set())
    _, given = _split(command.words)
    words = list(given)
    if application is not None and fragment.application is None and words and words[-1].text is None:
        words.pop()  # an application whose name is not known
    rest = without([_known(word) for word in words], left_out)
    if application is not None:
        if fragment.application in rest:
            rest[rest.index(fragment.application)] = application
        else:
            rest.append(application)
    return [*flags, *rest]


def environment(command: CommandLine, given: Mapping[str, str], *, stand_in: bool) -> dict[str, str]:
    """`given` as the command line changes it (`env NAME=value gunicorn`), and GUNICORN_CMD_ARGS without the
    words that the lab leaves out; flags win over it."""
    assigned, _ = _split(command.words)
    env = {**given, **assigned}
    if _ARGUMENTS in env:
        left_out = _LEFT_OUT | (_OF_THE_APPLICATION if stand_in else set())
        try:
            words = shlex.split(env[_ARGUMENTS])
        except ValueError:
            words = []  # gunicorn would not start; the reader has said so
        env[_ARGUMENTS] = shlex.join(without(words, left_out))
    return env


def _split(words: Sequence[Word]) -> tuple[dict[str, str], Sequence[Word]]:
    """What `env` assigns in front of gunicorn, and the words behind it."""
    assigned: dict[str, str] = {}
    for at, word in enumerate(words):
        text = word.text or ""
        if os.path.basename(text) == "gunicorn" or (
            text == "gunicorn.app.wsgiapp" and at > 0 and words[at - 1].text == "-m"
        ):
            return assigned, words[at + 1 :]
        name, sign, value = text.partition("=")
        if sign and name.isidentifier():
            assigned[name] = value
    return {}, words


def _known(word: Word) -> str:
    if word.text is None:
        raise LabError(
            f"{word.span.place}: a word of gunicorn's command line is not known ({word.reason})",
            hint="give the variable a value (terraform.tfvars), so that the lab can run the command",
        )
    return word.text


def without(words: Sequence[str], options: Set[str]) -> list[str]:
    """The words without some long options, in each form that gunicorn's parser takes: `--x=y`, `--x y`, a
    beginning that only one option has, `-t30`, `-t 30`, `-Dt30`; with their values."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*kept, word, *rest]
        option, takes_next, before = _option(word)
        values = rest[:1] if takes_next else []
        if option in OPTIONAL_VALUE and rest and not rest[0].startswith("-"):
            values = rest[:1]
        rest = rest[len(values) :]
        if option not in options:
            kept += [word, *values]
        elif before:
            kept.append(before)
    return kept


def _option(word: str) -> tuple[str, bool, str]:
    """The long option that a word sets ("" for none), whether its value is the next word, and the switches
    that share the word ("-R" of "-Rt30")."""
    if word.startswith("--"):
        name, sign, _ = word.partition("=")
        fits = [name] if name in _LONG else [long for long in _LONG if long.startswith(name)]
        option = fits[0] if len(fits) == 1 else ""
        return option, option in VALUES and not sign, ""
    if not word.startswith("-") or word == "-":
        return "", False, ""
    switches = ""
    for at, letter in enumerate(word[1:], 1):
        option = SHORT.get(f"-{letter}", "")
        if option in VALUES:
            return option, at + 1 == len(word), f"-{switches}" if switches else ""
        # A daemon would leave its supervisor.
        switches += letter if option != "--daemon" else ""
    if "D" in word:
        return "--daemon", False, f"-{switches}" if switches else ""
    return "", False, ""
