"""Dockerfile: what the image of the last stage runs.

As BuildKit reads it, `["a", "b"]` is the exec form only when it is a JSON list of strings, else it is the
shell form.

Of the rules for stages, one is easy to miss: ENTRYPOINT takes away a CMD that comes from the base image, not
one of the same stage.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span
from keepalign.readers._dockerfile_lines import Instruction, instructions
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import CommandLine, CommandStyle, Note, Word
from keepalign.readers._shell_words import BLANK, Stretch, Variable, WordScanner
from keepalign.readers.shell import below, replacing, split, unwrap

_FLAG: Final = re.compile(rb"--[a-z][a-z-]*(?:=\S*)?(?=\s|$)")
_ABOUT: Final = (".dockerignore", ".md", ".txt", ".yaml", ".yml", ".json", ".py", ".go", ".sh", ".rb", ".ts")
"""Ends of names such as dockerfile.yml, a workflow that builds one."""
_IGNORED: Final = ("HEALTHCHECK", "LABEL", "MAINTAINER", "RUN", "USER", "VOLUME")
"""Instructions that say nothing about what the container runs."""


@dataclass(slots=True)
class _Stage:
    base: str = ""
    base_span: Span | None = None
    entrypoint: CommandLine | None = None
    cmd: CommandLine | None = None
    cmd_here: bool = False
    entrypoint_is_shell: bool = False
    cmd_is_shell: bool = False
    copies: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    environment: dict[str, Variable] = field(default_factory=dict)
    arguments: dict[str, Variable] = field(default_factory=dict)
    exposes: list[int] = field(default_factory=list)
    stop_signal: str | None = None
    workdir: str = ""
    shell: str = "/bin/sh -c"

    def child(self) -> _Stage:
        """What a stage `FROM` this one starts with: everything but its ARGs."""
        return _Stage(
            base=self.base,
            base_span=self.base_span,
            entrypoint=self.entrypoint,
            cmd=self.cmd,
            entrypoint_is_shell=self.entrypoint_is_shell,
            cmd_is_shell=self.cmd_is_shell,
            copies=list(self.copies),
            environment=dict(self.environment),
            exposes=list(self.exposes),
            stop_signal=self.stop_signal,
            workdir=self.workdir,
            shell=self.shell,
        )

    @property
    def variables(self) -> Mapping[str, Variable]:
        """ENV hides ARG."""
        return {**self.arguments, **self.environment}


class DockerfileReader:
    """Reads Dockerfiles."""

    name = "dockerfile"

    def recognise(self, path: str, head: bytes) -> bool:
        """Dockerfile, Dockerfile.*, *.Dockerfile, Dockerfile-* with a FROM, Containerfile and so on; not what
        is about them."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        if base.endswith(_ABOUT):
            return False
        if re.match(r"(?:dockerfile|containerfile)[-_]", base):
            return re.search(rb"(?im)^[ \t]*FROM[ \t]", head) is not None
        return base.partition(".")[0] in ("dockerfile", "containerfile") or base.endswith(
            (".dockerfile", ".containerfile")
        )

    def read(self, source: SourceText) -> DockerfileFragment:
        """The last stage, with what it inherits from stages of the same file.

        Raises: ReadError: no FROM, an instruction in front of it, or a quote that is not closed.
        """
        return _Reading(source, {}).fragment()

    def read_run(
        self, source: SourceText, environment: Mapping[str, str | None], *, target: str = ""
    ) -> DockerfileFragment:
        """As read(), for a container that sets `environment` over the image's own; None for a text that is
        not resolved. Only what the shell of CMD and ENTRYPOINT makes of `$NAME` can differ; and the stage,
        where `target` names another than the last.

        Raises: ReadError: as read().
        """
        over = {
            name: Variable(text, reason=f"${name} is set when the container starts")
            for name, text in environment.items()
        }
        return _Reading(source, over).fragment(target)


class _Reading:
    def __init__(self, source: SourceText, over: Mapping[str, Variable]) -> None:
        self._source = source
        self._over = over
        self._notes: list[Note] = []
        self._globals: dict[str, Variable] = {}
        self._stages: dict[str, _Stage] = {}
        self._stage: _Stage | None = None

    def fragment(self, target: str = "") -> DockerfileFragment:
        for number, instruction in enumerate(instructions(self._source)):
            self._instruction(number, instruction)
        stage = self._stages.get(target.lower(), self._stage)
        if stage is None:
            raise ReadError("holds no FROM, so it builds nothing", file=self._source.file)
        return DockerfileFragment(
            file=self._source.file,
            base=stage.base,
            base_span=stage.base_span,
            entrypoint=stage.entrypoint,
            cmd=stage.cmd,
            entrypoint_is_shell_form=stage.entrypoint_is_shell,
            cmd_is_shell_form=stage.cmd_is_shell,
            copies=tuple(stage.copies),
            environment={name: v.text for name, v in stage.environment.items()},
            exposes=tuple(dict.fromkeys(stage.exposes)),
            stop_signal=stage.stop_signal,
            workdir=stage.workdir,
            notes=tuple(self._notes),
        )

    def _instruction(self, number: int, given: Instruction) -> None:
        if given.keyword == "FROM":
            self._from(given)
            return
        stage = self._stage
        if stage is None:
            if given.keyword != "ARG":
                place = given.place
                raise ReadError(
                    f"{given.keyword} stands in front of the first FROM", file=place.file, line=place.line,
                    column=place.column, hint="a Dockerfile begins with FROM; only ARG may stand above it",
                )  # fmt: skip
            self._arg(given, self._globals, {})
            return
        match given.keyword:
            case "ARG":
                self._arg(given, stage.arguments, self._globals)
            case "ENV":
                self._env(given, stage)
            case "CMD":
                stage.cmd, stage.cmd_is_shell = self._command(given, stage)
                stage.cmd_here = True
            case "ENTRYPOINT":
                stage.entrypoint, stage.entrypoint_is_shell = self._command(given, stage)
                if not stage.cmd_here:
                    stage.cmd = None
            case "COPY" | "ADD":
                self._copy(given, stage)
            case "EXPOSE":
                for word in self._words(given, stage.variables):
                    stage.exposes += _ports(word.text or "")
            case "STOPSIGNAL":
                stage.stop_signal = self._text(given, stage.variables)
            case "WORKDIR":
                text = self._text(given, stage.variables)
                stage.workdir = posixpath.normpath(posixpath.join(stage.workdir or "/", text))
            case "ONBUILD":
                self._notes.append(Note(given.place, "ONBUILD takes effect in images built from this one"))
            case "SHELL":
                self._notes.append(Note(given.place, "the shell form is read as if /bin/sh ran it"))
                words = _json_words(self._source, given.rest, given.offsets) or []
                stage.shell = f"{words[0].text if words else 'sh'} -c"
            case _ if given.keyword not in _IGNORED:
                self._notes.append(Note(given.place, f"{given.keyword[:40]} is no Dockerfile instruction"))
            case _:
                pass

    def _from(self, given: Instruction) -> None:
        found = [w for w in self._words(given, self._globals) if not _written(given, w).startswith("--")]
        if not found:
            place = given.place
            raise ReadError("FROM names no image", file=place.file, line=place.line, column=place.column)
        image = found[0]
        text = image.text if image.text is not None else _wildcard(_written(given, image), self._globals)
        parent = self._stages.get(text.lower())
        self._stage = parent.child() if parent else _Stage(base=text, base_span=image.span)
        if len(found) > 2 and (found[1].text or "").lower() == "as" and found[2].text:
            self._stages[found[2].text.lower()] = self._stage

    def _arg(self, given: Instruction, into: dict[str, Variable], outer: Mapping[str, Variable]) -> None:
        known = {**outer, **into}
        for name, value in self._pairs(given, known):
            if value is not None:
                into[name] = _variable(name, value)
            elif name in outer:
                into[name] = outer[name]
            else:
                into[name] = Variable(None, given.place, reason=f"${name} is given when the image is built")

    def _env(self, given: Instruction, stage: _Stage) -> None:
        pairs = self._pairs(given, stage.variables)
        if pairs and pairs[0][1] is None:
            # `ENV NAME the rest of the line`
            name = pairs[0][0]
            match = re.match(rb"\S+\s+", given.rest)
            if match is None:
                self._notes.append(Note(given.place, f"ENV {name} has no value"))
                return
            rest, offsets = given.rest[match.end() :], given.offsets[match.end() :]
            stretch = Stretch.joined(self._source, rest, offsets)
            literal = not re.search(rb"[$\"'\\]", rest)
            whole = stretch.place(0, len(rest))
            text = rest.decode("utf-8", "surrogateescape") if literal else None
            exact = whole if literal and stretch.exact(0, len(rest)) else None
            value = Word(text, whole, exact, reason="" if literal else f"${name} is put together from pieces")
            stage.environment[name] = _variable(name, value)
            return
        stage.environment |= {name: _variable(name, word) for name, word in pairs if word is not None}

    def _pairs(self, given: Instruction, variables: Mapping[str, Variable]) -> list[tuple[str, Word | None]]:
        """NAME=value, or NAME alone with None."""
        scan = self._scanner(given, variables)
        found: list[tuple[str, Word | None]] = []
        while _skip_blanks(scan):
            match = re.compile(rb"([^\s=]+)(=?)").match(scan.data, scan.position)
            if match is None:
                scan.position += 1
                continue
            scan.position = match.end()
            name = match[1].decode("utf-8", "replace").strip("\"'")
            found.append((name, _value(scan) if match[2] else None))
        return found

    def _scanner(self, given: Instruction, variables: Mapping[str, Variable]) -> WordScanner:
        stretch = Stretch.joined(self._source, given.rest, given.offsets)
        return WordScanner(stretch, variables, complete=False)

    def _words(self, given: Instruction, variables: Mapping[str, Variable]) -> list[Word]:
        scan = self._scanner(given, variables)
        found: list[Word] = []
        while _skip_blanks(scan):
            found.append(_value(scan))
        return found

    def _text(self, given: Instruction, variables: Mapping[str, Variable]) -> str:
        """The first word; as written when it cannot be resolved."""
        found = self._words(given, variables)
        written = given.rest.decode("utf-8", "replace")
        return written if not found or found[0].text is None else found[0].text

    def _copy(self, given: Instruction, stage: _Stage) -> None:
        rest, offsets = given.rest, given.offsets
        while flag := _FLAG.match(rest):
            if flag[0].startswith(b"--from="):
                return
            skipped = len(rest) - len(rest[flag.end() :].lstrip())
            rest, offsets = rest[skipped:], offsets[skipped:]
        listed = _json_words(self._source, rest, offsets)
        bare = Instruction(given.keyword, given.place, rest, offsets)
        found = listed if listed is not None else self._words(bare, stage.variables)
        texts = [w.text if w.text is not None else _written(bare, w) for w in found]
        texts = [t for t in texts if not t.startswith("<<")]
        if len(texts) > 1:
            stage.copies.append((tuple(texts[:-1]), texts[-1]))

    def _command(self, given: Instruction, stage: _Stage) -> tuple[CommandLine | None, bool]:
        """The words of CMD or ENTRYPOINT, and whether a shell runs them."""
        env = {**stage.environment, **self._over}
        listed = _json_words(self._source, given.rest, given.offsets)
        if listed is not None:
            append_at = None
            if listed:
                last = listed[-1].span
                append_at = self._source.span(last.end, last.end)
            line = CommandLine(tuple(listed), CommandStyle.LIST, given.place, append_at)
            return unwrap(line, env), False
        if given.rest.startswith(b"["):
            text = f"{given.keyword} is no JSON list of strings in double quotes, so a shell runs it"
            self._notes.append(Note(given.place, text))
        stretch = Stretch.joined(self._source, given.rest, given.offsets)
        found = replacing(split(stretch, env))
        return (unwrap(below(found, stage.shell), env) if found else None), True


def _skip_blanks(scan: WordScanner) -> bool:
    while scan.position < len(scan.data) and scan.data[scan.position] in BLANK:
        scan.position += 1
    return scan.position < len(scan.data)


def _value(scan: WordScanner) -> Word:
    """A word up to the next blank; in Dockerfile instructions `;` and `&` are plain text."""
    start = scan.position
    word = scan.value(BLANK)
    if scan.position == start:
        scan.position += 1
    return word


def _variable(name: str, word: Word) -> Variable:
    reason = word.reason or f"${name} cannot be resolved"
    return Variable(word.text, word.span, word.value_span, reason, word.via)


def _written(given: Instruction, word: Word) -> str:
    """The word as it stands in the instruction."""
    inside = [i for i, at in enumerate(given.offsets) if word.span.start <= at < word.span.end]
    raw = given.rest[inside[0] : inside[-1] + 1] if inside else b""
    return raw.decode("utf-8", "replace")


def _wildcard(written: str, variables: Mapping[str, Variable]) -> str:
    """`written` with "*" for every variable that is not resolved."""

    def text(match: re.Match[str]) -> str:
        variable = variables.get(match[1] or match[2])
        return variable.text if variable is not None and variable.text is not None else "*"

    return re.sub(r"\$(?:(\w+)|\{(\w+)[^}]*\})", text, written).strip("\"'")


def _ports(text: str) -> list[int]:
    """Of `8080`, `8080/tcp`, `8000-8010`; none for UDP and for what is unresolved."""
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/tcp)?", text.lower())
    if match is None:
        return []
    first = int(match[1])
    return list(range(first, min(int(match[2] or first), 65535) + 1))


_JSON_STRING: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\.)*"')


def _json_words(source: SourceText, rest: bytes, offsets: Sequence[int]) -> list[Word] | None:
    """The strings of a JSON list; None when `rest` is anything else."""
    try:
        parsed = json.loads(rest.decode("utf-8")) if rest.startswith(b"[") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, list) or not all(isinstance(x, str) for x in parsed):
        return None
    stretch = Stretch.joined(source, rest, offsets)
    place: Callable[[int, int], Span] = stretch.place
    found: list[Word] = []
    for match, text in zip(_JSON_STRING.finditer(rest), parsed, strict=True):
        exact = stretch.exact(match.start(), match.end())
        inner = place(match.start() + 1, match.end() - 1) if exact else None
        # An escaped half of a surrogate pair is no text that can be written anywhere.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        found.append(Word(clean, place(match.start(), match.end()), inner))
    return found
