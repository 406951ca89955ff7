"""How each server is run on loopback with the user's own configuration and flags.

A recipe replaces ports, paths and scaled times, and nothing else; `Rewritten.diff` shows what it replaced.

    apache_httpd   an httpd.conf, run by the system's Apache
    nginx          an nginx.conf or pieces of one, run by the system's nginx
    gunicorn       a gunicorn command line, run by the gunicorn beside keepalign or on PATH
    stand_in       an application that answers as keepalign.toml declares, when the user's cannot start
"""

from __future__ import annotations

import difflib
import grp
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keepalign.errors import LabError
from keepalign.model.source import SourceText


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


def difference(source: SourceText, text: bytes) -> str:
    """What was replaced in one file: unified, without context."""
    before, after = (
        data.decode("utf-8", "replace").splitlines(keepends=True) for data in (source.data, text)
    )
    return "".join(difflib.unified_diff(before, after, f"a/{source.file}", f"b/{source.file}", n=0))


def search_path() -> str:
    """PATH and the folders of servers, which lie in sbin: an ordinary user's PATH may lack it."""
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))


def nobody() -> tuple[str, str]:
    """User and group without rights, for servers that root starts; the names differ by system.

    Raises: LabError: there is no such user.
    """
    try:
        user = pwd.getpwnam("nobody")
        return user.pw_name, grp.getgrgid(user.pw_gid).gr_name
    except KeyError:
        raise LabError("there is no user nobody here to run servers as", hint="do not run as root") from None
