"""Runs the user's gunicorn command line with the gunicorn beside keepalign, or the one on PATH.

Replaced: the program's path, the bind address, the times, scaled (written out when the command leaves them to
defaults), and the application when it cannot start here or cannot be hurried. Kept: every other word.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from keepalign.errors import LabError
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.readers._fragments import GunicornFragment
from keepalign.readers._reader import CommandLine
from keepalign.units import Duration

_HINT: Final = 'install it beside keepalign: pip install "keepalign[lab]"'
_BIND: Final = ("-b", "--bind")
_TIMES: Final = {"timeout": ("-t", "--timeout"), "graceful_timeout": ("--graceful-timeout",)}
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
    port: int,
    times: Mapping[str, Setting],
    scale: int,
    application: str | None = None,
) -> list[str]:
    """The user's words behind the program, as the lab runs them.

    Args:
        port: to bind on 127.0.0.1.
        times: gunicorn's option name (`timeout`, `graceful_timeout`) to what holds in life.
        scale: all times are divided by it, rounded up to whole seconds.
        application: stands for the user's when given.
    Raises: LabError: a word of the command line is not known.
    """
    words: list[str] = []
    for word in command.words:
        if word.text is None:
            raise LabError(
                f"{word.span.place}: a word of gunicorn's command line is not known ({word.reason})",
                hint="give the variable a value (terraform.tfvars), so that the lab can run the command",
            )
        words.append(word.text)
    start = next((i for i, w in enumerate(words) if os.path.basename(w) == "gunicorn"), 0)
    rest = _without(words[start + 1 :], (*_BIND, *(flag for flags in _TIMES.values() for flag in flags)))
    if application is not None and fragment.application in rest:
        rest[rest.index(fragment.application)] = application
    flags = ["--bind", f"127.0.0.1:{port}"]
    for option, names in _TIMES.items():
        setting = times.get(option)
        value = value_of(setting)
        if value is not None:
            whole = (value / scale).ceil_to(Duration.of(s=1)).us // 1_000_000
            flags += [names[-1], str(whole)]
        elif isinstance(setting, Unlimited):
            flags += [names[-1], "0"]
    return [*flags, *rest]


def _without(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """The words without the given options and their values, in each form that argparse takes."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
            continue
        name, sign, _ = word.partition("=")
        if word in flags:
            skip = True
            continue
        if sign and name in flags:
            continue
        if any(len(flag) == 2 and word.startswith(flag) and len(word) > 2 for flag in flags):
            continue
        # A unique beginning of a long option means the option (argparse's allow_abbrev).
        if name.startswith("--") and len(name) > 4 and any(flag.startswith(name) for flag in flags):
            skip = not sign
            continue
        kept.append(word)
    return kept


def why_it_cannot_start(argv: Sequence[str], *, env: Mapping[str, str], cwd: str) -> str:
    """Empty when gunicorn can load the application here; else the last line of what it says."""
    try:
        answer = subprocess.run(
            [*argv, "--check-config"],
            env=dict(env),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "loading it takes longer than 30 s"
    if answer.returncode == 0:
        return ""
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"gunicorn --check-config ends with {answer.returncode}"
