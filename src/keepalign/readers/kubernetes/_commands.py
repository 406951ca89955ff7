"""Command lines of containers, as lists of words: `command`, `args` and the hook before the stop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.readers._reader import CommandLine, CommandStyle, Read, Word
from keepalign.readers._yaml import Fields, Items, Node, Scalar
from keepalign.readers.kubernetes._values import of_scalar, unknown
from keepalign.readers.kubernetes.layers import text_of
from keepalign.readers.shell import Stretch, split
from keepalign.units import ZERO, Duration

OPTION: Final = "lifecycle.preStop"
_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][\w.-]*)\)")
_BLOCK: Final = re.compile(rb"\|[0-9+-]*[ \t]*(?:#[^\n]*)?\r?\n[ \t]*")
_LONGEST_SCRIPT: Final = 500
"""Lines; what is longer is no command line."""
_SLEEP: Final = re.compile(r"([0-9]{1,6})(\.0+)?([smh]?)", re.ASCII)
_SHELLS: Final = ("sh", "bash", "ash", "dash")
_AT_ONCE: Final = (
    "nginx", "apachectl", "httpd", "apache2ctl", "kill", "pkill", "killall", "echo", "touch", "true", "sleep",
)  # fmt: skip
"""Programs that only tell another one something, and the one whose time is written."""


def command_line(
    source: SourceText, node: Node | None, env: Mapping[str, str | None], known: Mapping[str, Span]
) -> CommandLine | None:
    """The words of a list; None where it is not written.

    Args:
        env: what `$(NAME)` stands for; None where that is not known.
        known: where each of them is written.
    """
    if not isinstance(node, Items) or not node.items:
        return None
    words = tuple(_word(source, item, env, known) for item in node.items)
    last = node.items[-1]
    source = text_of(source, node.span)
    if last.span.file != node.span.file or not node.span.start <= last.span.start < node.span.end:
        return CommandLine(words, CommandStyle.ROWS, node.span)  # a patch added it
    end = source.span(last.span.end, last.span.end)
    if source.data[node.span.start : node.span.start + 1] == b"[":
        return CommandLine(words, CommandStyle.LIST, node.span, end)
    # A block's text goes to the end of its last line; behind it stands nothing.
    start = source.data.rfind(b"\n", 0, last.span.start) + 1
    dash = re.match(rb"[ \t]*-[ \t]+", source.data[start:])
    plain = isinstance(last, Scalar) and (last.plain or last.value_span is not None)
    if dash is None or start + dash.end() != last.span.start or not plain:
        return CommandLine(words, CommandStyle.ROWS, node.span)
    newline = "\r\n" if source.data[start - 2 : start] == b"\r\n" else "\n"
    return CommandLine(words, CommandStyle.ROWS, node.span, end, lead=newline + dash[0].decode())


def _word(source: SourceText, node: Node, env: Mapping[str, str | None], known: Mapping[str, Span]) -> Word:
    if not isinstance(node, Scalar):
        return Word(None, node.span, reason="it is no text")
    if "{{" in node.text:
        return Word(None, node.span, reason="it is written when the manifest is rendered")
    if (block := literal_block(source, node)) is not None:
        return block
    names = [name for name in _REFERENCE.findall(node.text) if name in env]
    if not names and "$$" not in node.text:
        return Word(node.text, node.span, value_span=node.value_span)
    via = tuple((name, known[name]) for name in names if name in known)
    if any(env[name] is None for name in names):
        missing = next(name for name in names if env[name] is None)
        return Word(None, node.span, reason=f"the value of {missing} is not in the manifest", via=via)

    def worth(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return (env[match[1]] or "") if match[1] in env else match[0]

    return Word(_REFERENCE.sub(worth, node.text), node.span, via=via)


def literal_block(source: SourceText, scalar: Scalar) -> Word | None:
    """A script in a block (`|`) as it is written, indentation and all, which a shell does not mind.

    None for any other scalar, and where `$(NAME)` would be replaced.
    """
    source = text_of(source, scalar.span)
    raw = source.data[scalar.span.start : scalar.span.end]
    opening = _BLOCK.match(raw)
    if opening is None or "$(" in scalar.text or len(scalar.text.split("\n")) > _LONGEST_SCRIPT:
        return None
    start = scalar.span.start + opening.end()
    end = scalar.span.start + len(raw.rstrip())
    text = source.data[start:end].decode("utf-8", "replace")
    return Word(text, scalar.span, value_span=source.span(start, end))


def pre_stop(source: SourceText, hook: Fields) -> Read:
    """How long a preStop hook takes."""
    if len(hook.names) > 1:
        # As after a merge of two hooks.
        return unknown(OPTION, hook, f"its preStop hook is {' and '.join(hook.names)}, and may be only one")
    sleep = hook.scalar("sleep", "seconds")
    if sleep is not None:
        return of_scalar(sleep, OPTION)
    words = command_line(source, hook.get("exec", "command"), {}, {})
    if words is None:
        how = hook.names[0] if hook.names else "nothing"
        return unknown(OPTION, hook, f"its preStop hook is a {how}, and how long that takes is not written")
    try:
        commands = _commands(words)
    except ReadError:
        return unknown(OPTION, hook, "the shell command of its preStop hook cannot be read")
    slept = [_slept(line) for line in commands if _program(line) == "sleep"]
    known = [one for one in slept if one is not None]
    if commands and len(known) == len(slept) and all(_program(line) in _AT_ONCE for line in commands):
        if len(known) == 1:
            return known[0]
        origin = Origin(OriginKind.FILE, (Step(hook.span, OPTION),))
        whole = sum((one.value for one in known), ZERO)
        return Explicit(option=OPTION, origin=origin, value=whole)
    return unknown(OPTION, hook, "its preStop hook runs a command, and how long that takes is not written")


def _commands(line: CommandLine) -> list[Sequence[Word]]:
    given = line.words
    if len(given) > 2 and _program(given) in _SHELLS and (given[1].text or "").startswith("-"):
        if given[2].text is None:
            return []
        return [one.line.words for one in split(Stretch.inside(given[2]), {}) if one.line.words]
    return [given]


def _program(words: Sequence[Word]) -> str:
    return (words[0].text or "").rpartition("/")[2] if words else ""


def _slept(words: Sequence[Word]) -> Explicit | None:
    """Of `sleep 15`; None for anything else."""
    if _program(words) != "sleep" or len(words) != 2 or words[1].text is None:
        return None
    found = _SLEEP.fullmatch(words[1].text)
    if found is None:
        return None
    unit = {"": 1, "s": 1, "m": 60, "h": 3600}[found[3]]
    literal = words[1].value_span
    plain = literal is not None and not found[2] and found[3] in ("", "s")
    return Explicit(
        option=OPTION,
        origin=Origin(OriginKind.FILE, (Step(literal or words[1].span, f"sleep {words[1].text}"),)),
        site=Site(literal, "{value}" + found[3]) if literal is not None and plain else None,
        value=Duration.of(s=int(found[1]) * unit),
    )
