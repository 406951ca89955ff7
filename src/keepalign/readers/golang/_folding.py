"""What a Go expression is worth when nothing is executed: constants, arithmetic, flags, the environment.

Durations are nanoseconds, as Go has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from keepalign.model.source import Site, Span, Unit
from keepalign.readers._go_durations import nanoseconds
from keepalign.readers._reader import Word
from keepalign.readers.golang._durations import LARGEST, NANOSECONDS
from keepalign.readers.golang._names import TAG_DEFAULT, TAG_ENV, Declared, Names, collect
from keepalign.readers.golang._syntax import GoFile, arguments_of, last_name, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

_DEEPEST: Final = 30
_MOST_STEPS: Final = 2_000
_MOST_NAMES: Final = 8
_CONVERSIONS: Final = frozenset({
    "time.Duration", "int", "int32", "int64", "uint", "uint32", "uint64", "float64", "float32",
    "strconv.Atoi", "strconv.ParseInt", "strconv.ParseFloat", "strings.TrimSpace", "cast.ToDuration",
})  # fmt: skip
_ENVIRONMENT: Final = frozenset({"os.Getenv", "os.LookupEnv", "syscall.Getenv"})
_FLAGS: Final = re.compile(r"(?:Duration|Int|Int64|Uint|String|Float64)(?:Var)?(?:P|VarP)?")
_ENV_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{2,60}")


@dataclass(frozen=True, slots=True)
class Known:
    """What an expression is worth.

    Args:
        constant: a number (of nanoseconds, for a duration) or a text.
        site: where another duration can be written; None where nothing writes it alone.
        via: names it came through, with their places.
        note: what else decided it.
        unit: it is one of the constants of package time.
    """

    constant: float | int | str
    site: Site | None = None
    via: tuple[tuple[str, Span], ...] = ()
    note: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Why an expression has no value here. `unset`: it is a variable of the environment that nobody sets."""

    reason: str
    unset: bool = False


Result: TypeAlias = Known | Lost


_WHERE_IT_RUNS: Final = Lost("it is decided where it runs")


class Values:
    """Folds the expressions of one program.

    Args:
        files: the files that can hold its names.
        folder_of: the folder of an imported package; None where it is not in the tree.
        env: every variable the process sees; None for one that is not resolved.
        flags: what the command line gives, by name without dashes.
    """

    def __init__(
        self,
        files: Iterable[GoFile],
        folder_of: Callable[[str], str | None],
        env: Mapping[str, str | None],
        flags: Mapping[str, Word],
    ) -> None:
        self._files = list(files)
        self._folder_of = folder_of
        self._env = env
        self._flags = flags
        self._names: Names | None = None
        self._steps = 0

    def worth(self, node: Node, file: GoFile) -> Result:
        """The value of an expression, or why there is none."""
        self._steps = 0
        return self._worth(node, file, 0)

    def _worth(self, node: Node, file: GoFile, depth: int) -> Result:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            return Lost("the expression is too deep")
        match node.type:
            case "int_literal" | "float_literal":
                return self._number(node, file)
            case "interpreted_string_literal" | "raw_string_literal":
                return self._text(node, file)
            case "identifier":
                return self._identifier(node, file, depth)
            case "selector_expression":
                return self._selector(node, file, depth)
            case "parenthesized_expression" | "literal_element" | "expression_list" if node.named_children:
                found = self._worth(node.named_children[0], file, depth + 1)
                return found
            case "unary_expression":
                return self._unary(node, file, depth)
            case "binary_expression":
                return self._binary(node, file, depth)
            case "call_expression" | "type_conversion_expression":
                return self._call(node, file, depth)
            case _:
                return _WHERE_IT_RUNS

    # Literals

    def _number(self, node: Node, file: GoFile) -> Result:
        text = text_of(node).replace("_", "").lower()
        if len(text) > 40:
            return Lost("it is too large")
        try:
            whole = text.isdigit() or text[:2] in ("0x", "0o", "0b")
            if whole and text[:1] == "0" and text.isdigit():
                text = f"0o{text}"  # as in C: a leading zero means octal
            number: float | int = int(text, 0) if whole else float(text)
        except ValueError:
            return Lost("it is no number that keepalign reads")
        if not abs(number) <= LARGEST:
            return Lost("it is too large")
        return Known(number, self._site(node, file))

    def _text(self, node: Node, file: GoFile) -> Result:
        text = text_of(node)[1:-1]
        if "\\" in text or len(text) > 200 or "\ufffd" in text:
            return Lost("it is a text with escapes")
        inner = file.source.span(node.start_byte + 1, node.end_byte - 1)
        return Known(text, Site(inner, "{value}s") if nanoseconds(text.strip()) is not None else None)

    def _site(self, node: Node, file: GoFile) -> Site | None:
        if file.imports.get("time") != "time":
            return None  # the edit would need an import
        return Site(file.span(node), "{value} * time.Second")

    # Names

    def _identifier(self, node: Node, file: GoFile, depth: int) -> Result:
        name = text_of(node)
        names = self._known_names()
        here, there = (file.source.file, name), (file.folder, name)
        if here in names.locals and there in names.globals:
            return Lost(f"{name} is set in several places")  # which of them is meant, the scope decides
        if here in names.parameters:
            return Lost(f"{name} is what a caller gives")
        if here in names.locals or there in names.globals:
            declared = names.locals[here] if here in names.locals else names.globals[there]
            if declared is None:
                return Lost(f"{name} is set in several places")
            return self._declared(name, declared, depth)
        return Lost(f"{name} is decided where it runs")

    def _declared(self, name: str, declared: Declared, depth: int) -> Result:
        file, node = declared
        if node.type == "field_declaration":
            return self._tagged(name, node, file)
        found = self._worth(node, file, depth + 1)
        if isinstance(found, Lost):
            return replace(found, reason=f"{name}: {found.reason}"[:200])
        return replace(found, via=((name, file.span(node)), *found.via)[:_MOST_NAMES])

    def _selector(self, node: Node, file: GoFile, depth: int) -> Result:
        held, name = node.child_by_field_name("operand"), text_of(node.child_by_field_name("field"))
        if held is not None and held.type == "identifier" and text_of(held) in file.imports:
            path = file.imports[text_of(held)]
            if path == "time":
                if name in NANOSECONDS:
                    return Known(NANOSECONDS[name], self._site(node, file), unit=name)
                return _WHERE_IT_RUNS
            folder = self._folder_of(path)
            declared = self._known_names().globals.get((folder, name)) if folder is not None else None
            if declared is None:
                return Lost(f"{text_of(node)[:60]} is not in the given files")
            return self._declared(text_of(node)[:60], declared, depth)
        candidates = self._known_names().fields.get(name, [])[:5]
        if not candidates:
            return Lost(f"{text_of(node)[:60]} is decided where it runs")
        found = [self._declared(text_of(node)[:60], one, depth) for one in candidates]
        if len({one.constant if isinstance(one, Known) else one.reason for one in found}) > 1:
            return Lost(f"{text_of(node)[:60]} is set in several places")
        only = found[0]
        return replace(only, site=None) if isinstance(only, Known) and len(found) > 1 else only

    def _tagged(self, name: str, node: Node, file: GoFile) -> Result:
        """A struct field whose tag names a variable of the environment, and what holds without it."""
        tag = text_of(node.child_by_field_name("tag"))
        named, default = TAG_ENV.search(tag), TAG_DEFAULT.search(tag)
        key = named[1] if named else ""
        text = default[1] if default else (named[2] or "" if named else "")
        for variable, value in self._env.items() if key else ():
            if variable == key or variable.endswith(f"_{key}"):
                return self._of_variable(variable, value)
        if not text:
            return Lost(f"the environment variable {key} is not set in the given files", unset=True)
        place = file.span(node)
        reason = f"the default here: the environment variable {key} is not set in the given files"
        return Known(text.strip(), via=((name, place),), note=reason if key else "the default of its field")

    def _of_variable(self, name: str, value: str | None) -> Result:
        if value is None:
            return Lost(f"the environment variable {name} cannot be resolved")
        if nanoseconds(value.strip()) is None and not re.fullmatch(r"\d{1,12}", value):
            return Lost(f"the environment variable {name} holds no length of time")
        return Known(value, note=f"environment variable {name}")

    # Operators

    def _unary(self, node: Node, file: GoFile, depth: int) -> Result:
        sign, operand = text_of(node.child_by_field_name("operator")), node.child_by_field_name("operand")
        if operand is None or sign not in ("-", "+", "*", "&"):
            return _WHERE_IT_RUNS
        found = self._worth(operand, file, depth + 1)
        if sign != "-" or isinstance(found, Lost) or isinstance(found.constant, str):
            return found
        return replace(found, constant=-found.constant, site=self._site(node, file) if found.site else None)

    def _binary(self, node: Node, file: GoFile, depth: int) -> Result:
        sign = text_of(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None or sign not in "+-*/":
            return _WHERE_IT_RUNS
        a, b = (_counted(self._worth(one, file, depth + 1)) for one in (left, right))
        if isinstance(a, Lost):
            return a
        if isinstance(b, Lost):
            return b
        x, y = a.constant, b.constant
        if isinstance(x, str) or isinstance(y, str):
            return Lost("it computes with something else than numbers")
        if max(abs(x), abs(y)) > LARGEST or (sign == "/" and not y):
            return Lost("its numbers are too large")
        via = tuple(dict.fromkeys((*a.via, *b.via)))[:_MOST_NAMES]
        note = a.note or b.note
        if via or note:
            site = _scaled(a, b) if sign == "*" else None
        else:
            site = self._site(node, file) if a.site and b.site else None
        match sign:
            case "+":
                value: float | int = x + y
            case "-":
                value = x - y
            case "*":
                value = x * y
            case _:
                value = x // y if isinstance(x, int) and isinstance(y, int) and x * y >= 0 else x / y
        return Known(value, site, via, note)

    # Calls

    def _call(self, node: Node, file: GoFile, depth: int) -> Result:
        function, given = node.child_by_field_name("function"), arguments_of(node)
        called = text_of(function)[:60]
        name = last_name(function)
        if called in _CONVERSIONS and given:
            return _counted(self._worth(given[0], file, depth + 1))
        if called == "time.ParseDuration" and given:
            return _timed(self._worth(given[0], file, depth + 1))
        if called in _ENVIRONMENT and given:
            return self._variable(_quoted(given[0]))
        if called == "cmp.Or":
            return self._first(given, file, depth)
        holder = text_of(function.child_by_field_name("operand")) if function is not None else ""
        if len(given) >= 3 and _FLAGS.fullmatch(name) and re.search(r"(?i)flag|^f$|^fs$", holder[:60]):
            return self._flag(given[1:] if "Var" in name else given, file, depth)
        variable = _quoted(given[0]) if given else ""
        if len(given) == 2 and _ENV_NAME.fullmatch(variable) and re.search(r"(?i)env|lookup|config", called):
            found = self._variable(variable)
            return (
                found
                if not (isinstance(found, Lost) and found.unset)
                else self._or(found, given[1], file, depth)
            )
        return Lost(f"{called}() is called where it runs") if called else _WHERE_IT_RUNS

    def _variable(self, name: str) -> Result:
        if not name:
            return _WHERE_IT_RUNS
        if name not in self._env:
            return Lost(f"the environment variable {name} is not set in the given files", unset=True)
        return self._of_variable(name, self._env[name])

    def _or(self, lost: Lost, otherwise: Node, file: GoFile, depth: int) -> Result:
        found = self._worth(otherwise, file, depth + 1)
        if isinstance(found, Known) and not found.note:
            return replace(found, note=f"the default here: {lost.reason}")
        return found

    def _first(self, given: list[Node], file: GoFile, depth: int) -> Result:
        for index, one in enumerate(given):
            found = self._worth(one, file, depth + 1)
            if isinstance(found, Lost) and not found.unset:
                return found
            if isinstance(found, Known) and found.constant not in ("", 0):
                return found
            if isinstance(found, Lost) and index + 2 == len(given):
                return self._or(found, given[-1], file, depth)
        return _WHERE_IT_RUNS

    def _flag(self, given: list[Node], file: GoFile, depth: int) -> Result:
        """`flag.Duration("idle", 60*time.Second, "…")`: as the command line has it, else its default."""
        name = _quoted(given[0])
        word = self._flags.get(name)
        if word is not None:
            if word.text is None:
                return Lost(f"the flag -{name} cannot be resolved: {word.reason}")
            site = None
            if word.value_span is not None and nanoseconds(word.text.strip()) is not None:
                site = Site(word.value_span, "{value}s")
            return Known(word.text, site, ((f"-{name}", word.span),))
        default = given[1] if len(given) < 4 else given[2]
        found = self._worth(default, file, depth + 1)
        if isinstance(found, Known) and not found.note:
            return replace(found, note=f"the default of the flag -{name}")
        return found

    # What names stand for

    def _known_names(self) -> Names:
        if self._names is None:
            self._names = names = Names()
            for file in self._files:
                collect(file, names)
        return self._names


def duration_of(found: Result) -> Result:
    """A text becomes a number of nanoseconds; what is no duration is lost."""
    return _timed(found)


def _timed(found: Result) -> Result:
    if isinstance(found, Lost) or not isinstance(found.constant, str):
        return found
    number = nanoseconds(found.constant.strip())
    if number is None:
        return Lost("its text is no length of time")
    return replace(found, constant=number)


def _counted(found: Result) -> Result:
    """A text of digits becomes a number; one that is a duration, its nanoseconds."""
    if isinstance(found, Lost) or not isinstance(found.constant, str):
        return found
    if re.fullmatch(r"\d{1,15}", found.constant, re.ASCII):
        return replace(found, constant=int(found.constant), site=None)
    return _timed(found)


def _scaled(a: Known, b: Known) -> Site | None:
    """The site of `time.Duration(n) * time.Second`, where a name stands for n."""
    number, unit = (a, b) if b.unit else (b, a)
    units = {"Second": Unit.SECONDS, "Millisecond": Unit.MILLISECONDS}
    if unit.unit not in units or number.unit or number.site is None:
        return None
    return replace(number.site, template="{value}", unit=units[unit.unit])


def _quoted(node: Node) -> str:
    literal = node.type in ("interpreted_string_literal", "raw_string_literal")
    return text_of(node)[1:-1] if literal else ""
