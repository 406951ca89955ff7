"""How each server is run on loopback with the user's own configuration and flags.

A recipe replaces ports, paths and scaled times, and nothing else; `Rewritten.diff` shows what it replaced.

    apache_httpd   an httpd.conf, run by the system's Apache
    gunicorn       a gunicorn command line, run by the gunicorn beside keepalign or on PATH
    stand_in       an application that answers as keepalign.toml declares, when the user's cannot start
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Launch:
    """One process to start.

    Args:
        argv: the program's path first.
        env: whole environment.
        cwd: folder to start in.
        stop_signal: "SIGTERM", "SIGWINCH"…
        port: it will listen on, on 127.0.0.1.
        ready_line, ready_count: a text that its log shows, and how often, once it serves; empty: none does.
        ready_file: exists once it listens; empty: none does. A port that answers is no proof by itself:
            another program may have taken it.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    stop_signal: str
    port: int
    ready_line: str = ""
    ready_count: int = 1
    ready_file: str = ""
