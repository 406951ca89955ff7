"""Shell: the commands of a line, and the one command that a script ends in.

`words` splits a text into commands; `unwrap` looks into `sh -c '…'`; `ScriptReader` reads entrypoint scripts.
A script is followed as far as its text decides: commands in an `if`, a loop, a function or behind `||` are
not certain, a variable that they set is unresolved from then on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._fragments import ScriptFragment
from keepalign.readers._reader import CommandLine, CommandStyle, Note, Word
from keepalign.readers._shell_words import BLANK, Stretch, Variable, WordScanner

__all__ = [
    "Command", "ScriptReader", "Stretch", "Variable", "below", "replacing", "split", "unwrap", "words",
]  # fmt: skip

_ASSIGNMENT: Final = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)=")
_REDIRECTION: Final = re.compile(rb"[0-9]*(?:<<-|<<<|<<|<>|<&|>>|>&|>\||<|>)|&>>|&>")
_FUNCTION: Final = re.compile(rb"\([ \t]*\)")
_DECLARING: Final = ("export", "readonly", "declare", "typeset", "local")
_OPENING: Final = (b"if", b"while", b"until", b"for", b"case", b"select", b"{")
_CLOSING: Final = (b"fi", b"done", b"esac", b"}")
_BETWEEN: Final = (b"then", b"do", b"else", b"elif", b"!", b"function", b"time")
_HEADED: Final = (b"for", b"case", b"select", b"function")
_TESTS: Final = ("[", "[[", "test")
_SHELLS: Final = ("sh", "bash", "dash", "ash", "ksh", "zsh")
_STARTING: Final = re.compile(
    r"(?:docker[-_])?(?:boot|init|launch|run|serve|server|start|wait|web)(?:[-_]\w+)*"
)
"""How images call the scripts that they start with, where they give them no ending."""
_SHEBANG: Final = re.compile(rb"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+)*)?(?:\S*/)?(\w+)")


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command.

    Args:
        line: its words, without `exec` and without the assignments in front.
        assignments: `NAME=value` in front of it.
        replaces: written with `exec`, so the shell ends here.
        certain: reached whenever the commands before it succeed.
    """

    line: CommandLine
    assignments: tuple[tuple[str, Word], ...] = ()
    replaces: bool = False
    certain: bool = True


def words(
    source: SourceText, start: int, end: int, env: Mapping[str, Variable] | None = None
) -> list[Command]:
    """The commands in bytes [start, end) of a file.

    Raises: ReadError: a quote or bracket is not closed.
    """
    return split(Stretch.of(source, start, end), env or {})


def split(
    stretch: Stretch,
    env: Mapping[str, Variable],
    *,
    complete: bool = False,
    arguments: Sequence[Word] | None = None,
) -> list[Command]:
    """The commands of a stretch. `complete`: a name not in `env` is unset. `arguments`: what `"$@"` is."""
    parser = _Parser(stretch, env, complete=complete, arguments=arguments)
    parser.run()
    return parser.commands


def replacing(commands: Sequence[Command]) -> Command | None:
    """The command that stays: the first certain `exec`, else the last one, else the last certain command."""
    certain = [c for c in commands if c.certain]
    replaces = [c for c in commands if c.replaces]
    for found in ([c for c in replaces if c.certain][:1], replaces[-1:], certain[-1:]):
        if found:
            return found[0]
    return None


def unwrap(command: CommandLine, env: Mapping[str, Variable] | None = None) -> CommandLine:
    """`sh -c 'exec gunicorn …'` as the command inside; any other command as it is.

    Raises: ReadError: the text inside has a quote or bracket that is not closed.
    """
    given = command.words
    program = (given[0].text or "") if given else ""
    if program.rpartition("/")[2] not in _SHELLS:
        return command
    index, text, told = 1, "", False
    while index < len(given) and re.fullmatch(r"[-+]\w+", text := given[index].text or ""):
        # The name of an option follows -o; the command follows all of them.
        told = told or (text[0] == "-" and "c" in text)
        index += 2 if text[1:].endswith("o") else 1
    if not told:
        return command
    if index >= len(given) or given[index].text is None:
        return command
    # Behind the text stand $0 and then the arguments.
    inner = split(Stretch.inside(given[index]), env or {}, arguments=given[index + 2 :])
    found = replacing(inner)
    return unwrap(below(found, f"{program} -c", command.behind), env) if found is not None else command


def below(command: Command, shell: str, behind: tuple[str, ...] = ()) -> CommandLine:
    """The line of a command that `shell` runs, started by `behind` itself: without `exec` the shell stays."""
    stays = () if command.replaces else (shell,)
    return replace(command.line, behind=(*behind, *stays))


class _Parser:
    def __init__(
        self,
        stretch: Stretch,
        env: Mapping[str, Variable],
        *,
        complete: bool,
        arguments: Sequence[Word] | None,
    ) -> None:
        self.commands: list[Command] = []
        self.notes: list[Note] = []
        self.exported: dict[str, str | None] = {}
        self._scan = WordScanner(stretch, env, complete=complete)
        self._stretch = stretch
        self._given = set(env)
        self._arguments = arguments
        self._lost_arguments = ""
        self._depth = 0
        self._subshells = 0
        self._operator = ""
        self._after_test = False
        self._reset()

    def _reset(self) -> None:
        self._words: list[Word] = []
        self._assigned: list[tuple[str, Word]] = []
        self._last_end = 0
        self._first_at = -1
        self._head = False

    @property
    def _certain(self) -> bool:
        guarded = self._operator == "||" or (self._operator == "&&" and self._after_test)
        return self._depth == 0 and not guarded

    def run(self) -> None:
        """Read all commands."""
        scan, data = self._scan, self._stretch.data
        heredocs: list[tuple[bytes, bool]] = []
        while scan.position < len(data):
            start = scan.position
            byte = data[start : start + 1]
            redirection = _REDIRECTION.match(data, start)
            if byte in (b" ", b"\t", b"\r"):
                scan.position += 1
            elif data[start : start + 2] == b"\\\n":
                scan.position += 2
            elif byte == b"#":
                end = data.find(b"\n", start)
                scan.position = len(data) if end == -1 else end
            elif redirection:
                self._redirect(redirection, heredocs)
            elif byte in (b"\n", b";", b"&", b"|"):
                double = data[start : start + 2] if data[start : start + 2] in (b"&&", b"||", b";;") else byte
                scan.position += len(double)
                self._end(double.decode())
                if byte == b"\n":
                    for delimiter, tabs in heredocs:
                        self._skip_heredoc(delimiter, tabs)
                    heredocs.clear()
            elif byte in (b"(", b")"):
                self._bracket(byte)
            else:
                self._word()
        self._end("")

    def _bracket(self, byte: bytes) -> None:
        data, scan = self._stretch.data, self._scan
        if byte == b"(" and self._assigned and not self._words and scan.position == self._last_end:
            scan.skip_brackets()
            name, word = self._assigned[-1]
            lost = replace(word, text=None, value_span=None, reason=f"${name} is an array")
            self._assigned[-1] = (name, lost)
            return
        function = _FUNCTION.match(data, scan.position) if self._words else None
        scan.position += 1
        if function:
            scan.position = function.end()
            self._reset()
        elif byte == b"(":
            self._end("")
            self._depth += 1
            self._subshells += 1
        elif self._subshells:
            self._end("")
            self._depth = max(0, self._depth - 1)
            self._subshells -= 1
        else:
            self._reset()  # a pattern of a case

    def _redirect(self, operator: re.Match[bytes], heredocs: list[tuple[bytes, bool]]) -> None:
        scan, data = self._scan, self._stretch.data
        scan.position = operator.end()
        while scan.position < len(data) and data[scan.position] in BLANK:
            scan.position += 1
        start = scan.position
        scan.value()
        if operator[0].endswith((b"<<", b"<<-")) and not operator[0].endswith(b"<<<"):
            delimiter = re.sub(rb"[\"'\\]", b"", data[start : scan.position])
            heredocs.append((delimiter, operator[0].endswith(b"-")))

    def _skip_heredoc(self, delimiter: bytes, tabs: bool) -> None:
        scan, data = self._scan, self._stretch.data
        while scan.position < len(data):
            end = data.find(b"\n", scan.position)
            end = len(data) if end == -1 else end
            line = data[scan.position : end].rstrip(b"\r")
            scan.position = min(end + 1, len(data))
            if (line.lstrip(b"\t") if tabs else line) == delimiter:
                return

    def _word(self) -> None:
        scan, data = self._scan, self._stretch.data
        start = scan.position
        declaring = bool(self._words) and self._words[0].text in _DECLARING
        assignment = _ASSIGNMENT.match(data, start) if not self._words or declaring else None
        if assignment and not self._head:
            scan.position = assignment.end()
            self._assigned.append((assignment[1].decode(), scan.value()))
        else:
            found = scan.words()
            raw = data[start : scan.position]
            if not self._words and not self._assigned and self._keyword(raw):
                return
            for word in found:
                self._words += self._spliced(word)
        if self._first_at < 0:
            self._first_at = start
        self._last_end = scan.position

    def _keyword(self, raw: bytes) -> bool:
        if self._head and raw == b"in":
            return False
        if raw in _OPENING:
            self._depth += 1
        elif raw in _CLOSING:
            self._depth = max(0, self._depth - 1)
        elif raw not in _BETWEEN:
            return False
        self._head = raw in _HEADED
        return True

    def _spliced(self, word: Word) -> Sequence[Word]:
        if not word.splice:
            return (word,)
        if self._lost_arguments:
            return (replace(word, splice=False, reason=self._lost_arguments),)
        return (word,) if self._arguments is None else self._arguments

    def _end(self, operator: str) -> None:
        given, assigned, certain = self._words, tuple(self._assigned), self._certain
        first, last, head = max(self._first_at, 0), self._last_end, self._head
        self._reset()
        is_test = False
        if given and not head:
            program = given[0].text
            is_test = program in _TESTS
            place = self._stretch.place(first, last)
            self._command(given, assigned, certain, place, last)
        elif assigned and not head:
            self._assign(assigned, certain)
        if operator != "\n" or given or assigned:
            self._operator = operator
            self._after_test = is_test

    def _command(
        self,
        given: list[Word],
        assigned: tuple[tuple[str, Word], ...],
        certain: bool,
        place: Span,
        last: int,
    ) -> None:
        program = given[0].text
        match program:
            case "export" | "readonly" | "declare" | "typeset" | "local":
                self._assign(assigned, certain)
                if program == "export" or any(w.text == "-x" for w in given):
                    self._export([name for name, _ in assigned], given[1:])
                return
            case "unset" | ":":
                for word in given[1:] if program == "unset" else ():
                    self._scan.variables.pop(word.text or "", None)
                return
            case "set" if any(w.text == "--" for w in given):
                at = next(i for i, w in enumerate(given) if w.text == "--")
                self._set_arguments(given[at + 1 :], certain, place)
                return
            case "shift":
                count = int(given[1].text or "1") if len(given) > 1 and (given[1].text or "").isdigit() else 1
                known = self._arguments is not None and not any(w.splice for w in self._arguments)
                if certain and known and self._arguments is not None:
                    self._arguments = self._arguments[count:]
                else:
                    self._lost_arguments = f"`shift` at line {place.line} takes arguments away"
                return
            case "." | "source":
                self.notes.append(Note(place, "a script that is read in here may set further variables"))
            case _:
                pass
        replaces = program == "exec"
        if replaces:
            given = given[1:]
            while given and (given[0].text or "").startswith("-"):
                given = given[2:] if given[0].text == "-a" else given[1:]
        if not given:
            return
        end = self._stretch.place(last, last) if self._stretch.exact(max(last - 1, 0), last) else None
        line = CommandLine(tuple(given), CommandStyle.SHELL, place, end)
        self.commands.append(Command(line, assigned, replaces, certain))

    def _set_arguments(self, given: Sequence[Word], certain: bool, place: Span) -> None:
        if certain:
            self._arguments = tuple(given)
            self.notes.append(Note(place, "the arguments of the script are replaced here"))
        else:
            text = "the arguments of the script are replaced here under a condition"
            self.notes.append(Note(place, f"{text}; keepalign takes it as not met"))

    def _assign(self, assigned: Sequence[tuple[str, Word]], certain: bool) -> None:
        for name, word in assigned:
            if certain:
                reason = word.reason or f"${name} cannot be resolved"
                variable = Variable(word.text, word.span, word.value_span, reason, word.via)
            else:
                reason = f"${name} is set under a condition at line {word.span.line}"
                variable = Variable(None, word.span, reason=reason)
            self._scan.variables[name] = variable
            if name in self._given or name in self.exported:
                self._export([name], ())

    def _export(self, names: Sequence[str], given: Sequence[Word]) -> None:
        plain = [w.text for w in given if w.text and not w.text.startswith("-")]
        for name in (*names, *plain):
            variable = self._scan.variables.get(name)
            if variable is not None:
                self.exported[name] = variable.text


class ScriptReader:
    """Reads entrypoint scripts."""

    name = "shell"

    def recognise(self, path: str, head: bytes) -> bool:
        """*.sh, `start`, `run-web` with the shebang of a shell, or *entrypoint* that no other one claims."""
        base = path.replace("\\", "/").rpartition("/")[2].lower()
        shebang = _SHEBANG.match(head)
        is_shell = shebang is not None and shebang[1].decode() in _SHELLS
        if is_shell and (base.endswith(".sh") or _STARTING.fullmatch(base)):
            return True
        return "entrypoint" in base and (
            is_shell or (not head.startswith(b"#!") and "." not in base.strip("."))
        )

    def read(self, source: SourceText) -> ScriptFragment:
        """The script in an environment that is not known: `${X:-30}` is 30, `$X` alone is unresolved.

        Raises: ReadError: a quote or bracket is not closed.
        """
        return self._read(source, {}, complete=False)

    def read_script(self, source: SourceText, environment: Mapping[str, str | None]) -> ScriptFragment:
        """The script where `environment` holds every variable it can see; None for one that is not resolved.

        Raises: ReadError: a quote or bracket is not closed.
        """
        env = {
            name: Variable(text, reason=f"${name} cannot be resolved") for name, text in environment.items()
        }
        return self._read(source, env, complete=True)

    def _read(self, source: SourceText, env: Mapping[str, Variable], *, complete: bool) -> ScriptFragment:
        parser = _Parser(Stretch.of(source, 0, len(source.data)), env, complete=complete, arguments=None)
        parser.run()
        found = replacing(parser.commands)
        notes = list(parser.notes)
        environment = dict(parser.exported)
        if found is not None:
            environment |= {name: word.text for name, word in found.assignments}
            if not found.certain:
                notes.append(Note(found.line.place, "this command runs only under a condition"))
        command = None
        if found is not None:
            # A handler of its own may pass a signal on.
            traps = any(c.line.words[0].text == "trap" for c in parser.commands)
            name = f"script {source.file.replace(chr(92), '/').rpartition('/')[2]}" + " with a trap" * traps
            command = unwrap(below(found, name), parser._scan.variables)
        return ScriptFragment(source.file, command=command, environment=environment, notes=tuple(notes))
