"""Which directives of a configuration hold, and in which section: Include, Define, IfModule and the like.

httpd settles all of these while it reads, top to bottom, and so does this module: a `Define` holds from its
line on, an `IfModule` asks for the modules loaded above it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText, Span
from keepalign.readers._fragments import Directive
from keepalign.readers._reader import Note
from keepalign.readers.apache_httpd._syntax import Argument, Line, lines, show

Include = Callable[[str], Sequence[SourceText]]
"""The files that an Include pattern names, as it is written after substitution; empty when there is none."""

_BUILT_IN: Final = frozenset({"core.c", "core_module", "http_core.c", "http_module"}) | frozenset(
    form.format(name)
    for name in ("so", "watchdog", "log_config", "logio", "version", "unixd")
    for form in ("mod_{}.c", "{}_module")
)
"""`httpd -l`: core, http and so in every build, the others in Debian's and Ubuntu's."""

_MAX_DEPTH: Final = 128
"""As httpd: AP_MAX_INCLUDE_DEPTH."""

_VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")


class Kind(StrEnum):
    """What a section does to the directives in it."""

    CONDITION = "condition"
    MACRO = "macro"
    BLOCK = "block"


_CONDITIONS: Final = ("ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection")


@dataclass(frozen=True, slots=True)
class Literal:
    """One value with its way back to where it is written.

    Args:
        text: with every `Define` replaced; `${NAME}` stays where nothing in the files defines it.
        span: the bytes that hold exactly this value; None when it is put together from pieces.
        via: the `Define` lines it came through: (the line in words, its place), nearest first.
        unresolved: name of the first variable that no file defines; empty when there is none.
    """

    text: str
    span: Span | None
    via: tuple[tuple[str, Span], ...] = ()
    unresolved: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One open section. `label` is "VirtualHost *:8080"; `holds` is False below a condition that is false."""

    name: str
    label: str
    kind: Kind
    holds: bool
    item: Item


@dataclass(frozen=True, slots=True)
class Item:
    """A directive or a section's opening line, with what surrounds it.

    Args:
        line: as written.
        values: of the arguments, in order.
        options: of the arguments written key=value: the part behind the "=", by position.
        sections: those around it, outermost first, conditions included.
        main: it stands in the main file.
    """

    line: Line
    values: tuple[Literal, ...]
    options: Mapping[int, Literal]
    sections: tuple[Section, ...]
    main: bool

    @property
    def name(self) -> str:
        """In lower case; httpd does not tell case in names of directives."""
        return self.line.name.lower()

    @property
    def holds(self) -> bool:
        """No condition around it is false, and it is not the body of a macro."""
        return all(s.holds for s in self.sections)

    @property
    def blocks(self) -> tuple[Section, ...]:
        """The sections around it that are no conditions."""
        return tuple(s for s in self.sections if s.kind is Kind.BLOCK)

    def option(self, index: int) -> tuple[str, Literal] | None:
        """Argument `index` as key and value, the key in lower case; None when it is not written key=value."""
        if index not in self.options:
            return None
        return self.line.arguments[index].raw.partition("=")[0].lower(), self.options[index]

    @property
    def directive(self) -> Directive:
        """As the fragment keeps it."""
        return Directive(
            name=self.line.name,
            args=tuple(v.text for v in self.values),
            arg_spans=tuple(a.span for a in self.line.arguments),
            span=self.line.span,
            section=tuple(s.label for s in self.sections),
        )


@dataclass(slots=True)
class Tree:
    """What a configuration says, flattened in reading order.

    Args:
        unread: the Include lines whose files were not read: what they might set is not known.
        sites: where the main file can take a new line, by its name, as far as that was asked.
    """

    items: list[Item] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    unread: list[Item] = field(default_factory=list)
    sites: dict[str, Site | None] = field(default_factory=dict)

    def holding(self) -> Iterator[Item]:
        """The items in force."""
        return (item for item in self.items if item.holds)


def build(source: SourceText, include: Include | None) -> Tree:
    """Read the main file and what it includes. `include` None: included files are not at hand.

    Raises: ReadError: a section is not closed or not open, a file includes itself, a byte order mark,
        or nginx's syntax.
    """
    _refuse_nginx(source)
    walker = _Walker(include)
    walker.file(source, (), main=True)
    return walker.tree


def _refuse_nginx(source: SourceText) -> None:
    """Raises: ReadError: the first directive is nginx's; httpd would not start, so nothing in it holds."""
    first = next(lines(source), None)
    if first is None or not re.fullmatch(r"[a-z_]+[^\"']*[;{}]", first.text):
        return
    raise _fail(
        first, f"is named like Apache's configuration and written for nginx: {first.text}",
        "call the file nginx.conf, or give folders that do not hold it",
    )  # fmt: skip


def _fail(line: Line, message: str, hint: str = "") -> ReadError:
    return ReadError(message, file=line.span.file, line=line.span.line, column=line.span.column, hint=hint)


class _Walker:
    def __init__(self, include: Include | None) -> None:
        self.tree = Tree()
        self._include = include
        self._defines: dict[str, tuple[Literal, Line]] = {}
        self._modules: set[str] = set()
        self._open_files: list[str] = []

    def file(self, source: SourceText, outer: tuple[Section, ...], *, main: bool) -> None:
        """Read one file, whose directives stand in the sections `outer`."""
        if source.data.startswith(codecs.BOM_UTF8):
            raise ReadError(
                "begins with a byte order mark, which httpd takes for a part of the first word",
                file=source.file, line=1, column=1, hint="save the file as UTF-8 without it",
            )  # fmt: skip
        self._open_files.append(source.file)
        inner: list[Section] = []
        for line in lines(source):
            if line.name.startswith("</"):
                self._close(line, inner)
                continue
            item = self._item(line, (*outer, *inner), main)
            self.tree.items.append(item)
            if line.name.startswith("<"):
                inner.append(self._open(item))
            elif item.holds:
                self._directive(item)
        if inner:
            last = inner[-1]
            raise _fail(
                last.item.line, f"<{last.name}> is never closed", f"write </{last.name}> behind its last line"
            )
        self._open_files.pop()

    def _item(self, line: Line, sections: tuple[Section, ...], main: bool) -> Item:
        values = tuple(self._literal(a.raw, a.inner) for a in line.arguments)
        options = {i: self._behind_equals(a) for i, a in enumerate(line.arguments) if "=" in a.raw}
        return Item(line, values, options, sections, main)

    def _behind_equals(self, argument: Argument) -> Literal:
        key, _, rest = argument.raw.partition("=")
        inner = argument.inner
        if inner is not None:
            skipped = len(key.encode("utf-8", "surrogateescape")) + 1
            inner = Span(
                inner.file, inner.start + skipped, inner.end, inner.line, inner.column + len(key) + 1
            )
        return self._literal(rest, inner)

    def _literal(self, raw: str, inner: Span | None) -> Literal:
        whole = _VARIABLE.fullmatch(raw)
        if whole and whole[1] in self._defines:
            value, line = self._defines[whole[1]]
            return Literal(value.text, value.span, ((line.text, line.span), *value.via), value.unresolved)
        via: list[tuple[str, Span]] = []
        unresolved = ""

        def replace(match: re.Match[str]) -> str:
            nonlocal unresolved
            if match[1] not in self._defines:
                unresolved = unresolved or match[1]
                return match[0]
            value, line = self._defines[match[1]]
            via.append((line.text, line.span))
            unresolved = unresolved or value.unresolved
            return value.text

        text = _VARIABLE.sub(replace, raw)
        return Literal(text, inner if not via and not unresolved else None, tuple(via), unresolved)

    def _close(self, line: Line, inner: list[Section]) -> None:
        name = line.name[2:]
        if not inner:
            raise _fail(line, f"</{show(name)}> closes no section", "remove it, or open the section above it")
        if inner[-1].name.lower() != name.lower():
            opened = inner[-1]
            raise _fail(
                line, f"</{show(name)}> where </{opened.name}> is due",
                f"<{opened.name}> was opened at {opened.item.line.span.place}",
            )  # fmt: skip
        inner.pop()

    def _open(self, item: Item) -> Section:
        name = item.line.name[1:]
        label = show(" ".join([name, *(v.text for v in item.values)]))
        kind, holds = Kind.BLOCK, True
        if name.lower() in _CONDITIONS:
            kind = Kind.CONDITION
            holds = self._condition(name.lower(), item) if item.holds else False
        elif name.lower() == "macro":
            kind, holds = Kind.MACRO, False
            self._note(item, f"{label}: macros are not expanded, so what it sets is not known")
        return Section(show(name), label, kind, holds, item)

    def _condition(self, name: str, item: Item) -> bool:
        words = [v.text for v in item.values]
        test = words[0] if words else ""
        negated = test.startswith("!")
        test = test.removeprefix("!")
        known: bool | None = None
        why = "cannot be decided from the files"
        if name == "ifmodule":
            if test in self._modules or test in _BUILT_IN:
                known = True
            elif self._modules and not self.tree.unread:
                known = False
            else:
                why = "depends on modules loaded elsewhere"
        elif name == "ifdefine":
            known = test in self._defines
            if not known:
                self._note(item, f"{item.line.text}: no file defines {show(test)}; taken as not defined (-D)")
        elif name == "ifversion":
            known, negated = _version_holds(words), False
            why = "depends on httpd's exact version"
        if known is None:
            self._note(item, f"{item.line.text} {why}; taken as true")
            return True
        return known != negated

    def _directive(self, item: Item) -> None:
        words = [v.text for v in item.values]
        match item.name:
            case "define" if words:
                empty = Literal("", None)
                self._defines[words[0]] = (item.values[1] if len(words) > 1 else empty, item.line)
            case "undefine" if words:
                self._defines.pop(words[0], None)
            case "loadmodule" if len(words) > 1:
                stem = words[1].replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
                self._modules |= {words[0], f"{stem}.c"}
            case "include" | "includeoptional":
                for value in item.values:
                    self._included(item, value)
            case "use":
                self._note(item, f"{item.line.text}: macros are not expanded, so what it sets is not known")
            case _:
                pass

    def _included(self, item: Item, value: Literal) -> None:
        pattern = value.text
        if value.unresolved:
            self.tree.unread.append(item)
            self._note(
                item, f"{show(pattern)} is not read: ${{{value.unresolved}}} is not defined in the files"
            )
            return
        if self._include is None:
            self.tree.unread.append(item)
            self._note(item, f"{show(pattern)} is not read")
            return
        sources = self._include(pattern)
        if not sources and item.name == "include":
            # httpd would not start without it, so it is part of the image: its own conf/extra, say.
            self.tree.unread.append(item)
            self._note(
                item, f"{show(pattern)} is not read: it is not here; give its folder as a further PATH"
            )
        elif not sources:
            self._note(item, f"IncludeOptional {show(pattern)} matches no file here")
        for source in sources:
            if source.file in self._open_files or len(self._open_files) >= _MAX_DEPTH:
                raise _fail(item.line, f"{source.file} includes itself", "remove one of the Include lines")
            self.file(source, item.sections, main=False)

    def _note(self, item: Item, text: str) -> None:
        self.tree.notes.append(Note(item.line.span, text))


def _version_holds(words: list[str]) -> bool | None:
    """`<IfVersion [!]op version>` for some httpd 2.4.x; None when the third number decides."""
    operator, version = (words[0], words[1]) if len(words) > 1 else ("=", words[0] if words else "")
    negated = operator.startswith("!")
    operator = operator.removeprefix("!")
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", version)
    if match is None or operator not in ("=", "==", ">", ">=", "<", "<="):
        return None
    written = (int(match[1]), int(match[2] or 0))
    if written == (2, 4):
        if match[3] is None and operator in (">=", "<"):  # every 2.4.x is at or above 2.4
            return (operator == ">=") != negated
        return None
    above = written < (2, 4)
    return (
        above if operator.startswith(">") else not above if operator.startswith("<") else False
    ) != negated
