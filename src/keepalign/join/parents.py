"""What stands between process 1 of a container and its server, and whether a stop signal comes through.

A container's stop signal goes to process 1 alone. A shell that waits for its command passes none on; some
shells give their place to the last command of `-c` instead, as `exec` does. Measured: Debian's dash 0.5.12
stays, whatever the command, for Debian takes that step out of it; bash 5.2 gives way, unless the command
has a redirection; in a script file both stay. BusyBox' ash gives way (shell/ash.c: `evalstring(minusc,
EV_EXIT)`). npm 11 hands SIGTERM on, to the `sh -c` that it runs its scripts with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from keepalign.join.images import image_name, image_tag
from keepalign.readers._reader import CommandLine

# Images whose /bin/sh is dash, unless their tag says that they are built on Alpine.
_DEBIAN: Final = frozenset({
    "buildpack-deps", "debian", "golang", "httpd", "nginx", "node", "perl", "php", "python", "ruby", "rust",
    "ubuntu",
})  # fmt: skip
_BASH: Final = re.compile(
    r"amazonlinux|al2023|centos|fedora|rockylinux|almalinux|oraclelinux|ubi[0-9]+(-\w+)*"
)
_GIVES_WAY: Final = ("bash", "ash", "busybox", "ksh", "zsh")


def traits(line: CommandLine | None, behind: tuple[str, ...], base: str) -> Mapping[str, str]:
    """`stop_signals` where a stop signal does not reach the server, `stop_signals_doubt` where it may not;
    none where it does, as far as known.

    Args:
        line: the whole command line; None when it is not known.
        behind: of a reader that followed further commands itself; else that of `line` counts.
        base: the image that the container's own is built on.
    """
    parents = behind or (line.behind if line is not None else ())
    init = _init(line)
    if init in ("dumb-init", "tini -g"):
        return {}
    doubt = ""
    for parent in parents:
        certain, why = _passes_nothing_on(parent, parents, base, init)
        if why and certain:
            return {"stop_signals": why}
        doubt = doubt or why
    return {"stop_signals_doubt": doubt} if doubt else {}


def _init(line: CommandLine | None) -> str:
    """The init in front of a shell: "dumb-init", "tini"; "tini -g" where it signals all; empty where
    the shell is process 1 itself."""
    words = [word.text or "" for word in line.words] if line is not None else []
    name = words[0].rpartition("/")[2] if words else ""
    flags = words[1 : words.index("--")] if "--" in words else words[1:2]
    if name == "dumb-init":
        return name if not {"-c", "--single-child"} & set(flags) else "tini"
    if name in ("tini", "tini-static", "docker-init", "catatonit"):
        return "tini -g" if any(re.fullmatch("-[a-z]*g[a-z]*", flag) for flag in flags) else "tini"
    return ""


def _passes_nothing_on(parent: str, parents: tuple[str, ...], base: str, init: str) -> tuple[bool, str]:
    """Whether that is certain, and why; no reason where the signal comes through."""
    if parent.startswith("script "):
        if parent.endswith(" with a trap"):
            return (
                False,
                f"the {parent} runs it without exec, and whether that passes signals on is not known",
            )
        return True, f"the {parent} runs it without exec: the shell {_then(init)}"
    if not parent.endswith(" -c"):
        if parent in ("yarn", "pnpm"):
            return False, f"{parent} runs it, and whether that passes signals on depends on its version"
        return False, ""
    shell = parent.removesuffix(" -c").rpartition("/")[2]
    runner = next((one for one in parents if one in ("npm", "yarn", "pnpm")), "")
    who = f"{runner} runs it with `sh -c`" if runner else f"`{parent}` runs it without exec"
    if shell in _GIVES_WAY or (shell == "sh" and (_is_alpine(base) or _BASH.fullmatch(image_name(base)))):
        return False, ""
    if shell == "dash" or image_name(base) in _DEBIAN:
        why = f"{who}: the shell of {base or 'the image'} (dash) {_then(runner or init)}"
        return runner not in ("yarn", "pnpm"), why
    return False, f"{who}: whether the shell gives its place to it depends on which one /bin/sh is"


def _then(in_front: str) -> str:
    """What the shell does on the signal: only as process 1 it does not end of it."""
    return "ends without passing the signal on" if in_front else "waits for it and passes no signal on"


def _is_alpine(base: str) -> bool:
    return "alpine" in image_tag(base) or image_name(base) == "alpine"
