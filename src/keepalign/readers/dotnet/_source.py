"""C# files: where they set Kestrel's limits and the host's time to stop. Read as text, tolerantly.

Comments are passed over; a value is a TimeSpan made of literals and of constants of the same file, or a
setting with a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from keepalign.model.setting import Explicit, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Span, Step
from keepalign.readers._reader import Read
from keepalign.readers.dotnet import _timespan
from keepalign.units import Duration

KEEP_ALIVE: Final = "Limits.KeepAliveTimeout"
HEADERS: Final = "Limits.RequestHeadersTimeout"
SHUTDOWN: Final = "HostOptions.ShutdownTimeout"

SettingOf: TypeAlias = Callable[[str], "tuple[str, str] | None"]
"""The text of a setting by its path, with a note on where it comes from."""

_TOKEN: Final = re.compile(rb"//[^\n]*|/\*|[@$]{0,3}\"|'(?:\\.|[^'\\\n]){1,8}'")
_ASSIGNED: Final = (
    (KEEP_ALIVE, re.compile(rb"\bLimits\s*\.\s*KeepAliveTimeout\s*=(?![=>])\s*")),
    (HEADERS, re.compile(rb"\bLimits\s*\.\s*RequestHeadersTimeout\s*=(?![=>])\s*")),
    (SHUTDOWN, re.compile(rb"\bShutdownTimeout\s*=(?![=>])\s*|\bUseShutdownTimeout\s*\(\s*")),
)
_BINDS: Final = re.compile(
    rb"Configure\s*<\s*KestrelServerOptions\s*>\s*\([^;{}]{0,300}GetSection|GetSection\s*\(\s*\"Kestrel(?::Limits)?\"\s*\)"
    rb"\s*\.\s*Bind\s*\(|\.Bind\s*\([^;]{0,80}Limits"
)
_FROM: Final = re.compile(
    r"TimeSpan\s*\.\s*From(Milliseconds|Seconds|Minutes|Hours|Days)\s*\(\s*(.+?)\s*\)", re.DOTALL
)
_NEW: Final = re.compile(r"new\s*(?:TimeSpan)?\s*\(\s*([^()]{1,200}?)\s*\)")
_PARSE: Final = re.compile(r"TimeSpan\s*\.\s*Parse\s*\(\s*(.+?)\s*\)", re.DOTALL)
_ENDLESS: Final = re.compile(
    r"(?:System\.Threading\.)?Timeout\s*\.\s*InfiniteTimeSpan|TimeSpan\s*\.\s*MaxValue"
)
_SETTING: Final = re.compile(
    r"[\w.()\[\]]{0,80}GetValue\s*<\s*\w+\??\s*>\s*\(\s*\"([\w:.-]{1,100})\"\s*(?:,\s*(.{1,100}?)\s*)?\)"
    r"|[\w.]{0,80}onfiguration\s*\[\s*\"([\w:.-]{1,100})\"\s*\]!?",
    re.DOTALL,
)
_SECONDS: Final = {"Milliseconds": 0.001, "Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86400}
_CONDITION: Final = re.compile(rb"\b(?:if|for|foreach|while|switch)\s*\([^{};]{0,300}\)\s*$|\belse\s*$")
_LONGEST: Final = 300
_DEEPEST: Final = 6
# Each is looked for in the whole file; nobody sets one as often.
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class CSharp:
    """What one file says.

    Args:
        binds: it binds Kestrel's section of the configuration, its limits included, to Kestrel's options.
        web: it makes a web host.
    """

    source: SourceText
    text: bytes
    binds: bool
    web: bool

    def reads(self, setting: SettingOf) -> Iterator[tuple[str, Read]]:
        """Each option that the file sets, in order.

        Args:
            setting: what the configuration holds.
        """
        for option, pattern in _ASSIGNED:
            for match in islice(pattern.finditer(self.text), _MOST):
                yield option, _Assignment(self, option, match, setting).read()


def read_source(source: SourceText) -> CSharp:
    """The file without its comments."""
    text = _uncommented(source.data)
    web = re.search(rb"WebApplication\s*\.\s*Create|ConfigureWebHost|WebHost\s*\.\s*Create|UseKestrel", text)
    return CSharp(source, text, _BINDS.search(text) is not None, web is not None)


def _uncommented(data: bytes) -> bytes:
    """`data` with blanks for comments; strings stay."""
    pieces: list[bytes] = []
    position = 0
    while (match := _TOKEN.search(data, position)) is not None:
        start, token = match.start(), match[0]
        if token.startswith(b"//"):
            end = match.end()
        elif token == b"/*":
            end = data.find(b"*/", match.end())
            end = len(data) if end == -1 else end + 2
        else:
            end = match.end() if token.startswith(b"'") else _behind_string(data, match)
            pieces.append(data[position:end])
            position = end
            continue
        pieces += [data[position:start], re.sub(rb"[^\n]", b" ", data[start:end])]
        position = end
    return b"".join((*pieces, data[position:]))


def _behind_string(data: bytes, match: re.Match[bytes]) -> int:
    """The end of a string that a match opens: raw, verbatim, or plain, which ends with its line."""
    start = match.end() - 1
    quotes = len(data[start : start + 20]) - len(data[start : start + 20].lstrip(b'"'))
    if quotes >= 3:
        end = data.find(b'"' * quotes, start + quotes)
        return len(data) if end == -1 else end + quotes
    position = match.end()
    verbatim = b"@" in match[0]
    stop = len(data) if verbatim else data.find(b"\n", position)
    stop = len(data) if stop == -1 else stop
    while position < stop:
        at = data.find(b'"', position, stop)
        if at == -1:
            return stop
        if verbatim:
            if data[at + 1 : at + 2] != b'"':
                return at + 1
            position = at + 2
            continue
        slashes = len(data[position:at]) - len(data[position:at].rstrip(b"\\"))
        position = at + 1
        if slashes % 2 == 0:
            return position
    return stop


class _Assignment:
    """One place that sets an option."""

    def __init__(self, file: CSharp, option: str, match: re.Match[bytes], setting: SettingOf) -> None:
        self._file = file
        self._option = option
        self._match = match
        self._setting = setting
        self._steps: list[Step] = []
        self._note = ""

    def read(self) -> Read:
        start = self._match.end()
        end = _end_of(self._file.text, start)
        text = self._file.text[start:end].decode("utf-8", "replace").strip()
        begin = self._match.start()
        what = " ".join(self._file.text[begin:end].decode("utf-8", "replace").split())[:120]
        self._steps.append(Step(self._file.source.span(begin, end), what))
        condition = _condition(self._file.text, begin)
        found = self._worth(text, start, 0)
        if condition and not isinstance(found, str):
            found = f"line {condition} decides whether it is set"
        origin = Origin(OriginKind.FILE, tuple(self._steps), note=self._note)
        if isinstance(found, str):
            return Unknown(option=self._option, origin=origin, reason=found)
        value, site = found
        if value is None:
            return Unlimited(option=self._option, origin=origin, site=site)
        return Explicit(option=self._option, origin=origin, site=site, value=value)

    def _worth(self, text: str, start: int, depth: int) -> tuple[Duration | None, Site | None] | str:
        """A TimeSpan: its length (None: no limit) and where another can be written; in words, why not."""
        if depth > _DEEPEST or len(text) > _LONGEST:
            return "its expression is too long"
        if _ENDLESS.fullmatch(text):
            return None, self._site(text, text, start)
        if text in ("TimeSpan.Zero", "default"):
            return Duration(0), self._site(text, text, start)
        made = _FROM.fullmatch(text)
        if made is not None:
            number = self._number(made[2], depth)
            if isinstance(number, str):
                return number
            if not 0 <= number * _SECONDS[made[1]] <= 3e9:
                return "it is longer than a hundred years" if number > 0 else "it is below zero"
            plain = re.fullmatch(r"[\d_.]+", made[2]) is not None
            return Duration.of(s=number * _SECONDS[made[1]]), self._site(text, text, start) if plain else None
        parts = _NEW.fullmatch(text)
        if parts is not None:
            numbers = [self._number(part.strip(), depth) for part in parts[1].split(",")]
            whole = [one for one in numbers if isinstance(one, float)]
            if len(whole) != len(numbers) or len(numbers) not in (3, 4, 5):
                return "its parts are decided where it runs"
            days, hours, minutes, seconds, ms = [*([0.0] if len(whole) == 3 else []), *whole, 0.0][:5]
            total = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) + ms / 1000
            if not 0 <= total <= 3e9:
                return "it is longer than a hundred years, or below zero"
            return Duration.of(s=total), self._site(text, text, start)
        parsed = _PARSE.fullmatch(text)
        if parsed is not None:
            return self._parsed(parsed[1], depth)
        given = _SETTING.fullmatch(text)
        if given is not None:
            return self._configured(given, depth)
        declared = self._constant(text)
        if declared is not None:
            return self._worth(declared[0], declared[1], depth + 1)
        return f"{text[:60]} is decided where it runs" if text else "nothing is written there"

    def _parsed(self, text: str, depth: int) -> tuple[Duration | None, Site | None] | str:
        given = _SETTING.fullmatch(text)
        if given is not None:
            return self._configured(given, depth)
        value = _timespan.parse(text[1:-1]) if text[:1] == text[-1:] == '"' else None
        return (value, None) if value is not None else f"{text[:60]} is decided where it runs"

    def _configured(self, given: re.Match[str], depth: int) -> tuple[Duration | None, Site | None] | str:
        """A setting that stands for a TimeSpan."""
        text = self._setting_text(given)
        if text is None:
            return f"the setting {given[1] or given[3]} is not in the given files"
        value = _timespan.parse(text)
        if value is None:
            declared = self._worth(text, 0, depth + 1)
            return declared if isinstance(declared, str) else (declared[0], None)
        return value, None

    def _setting_text(self, given: re.Match[str]) -> str | None:
        name = given[1] or given[3]
        found = self._setting(name)
        if found is not None:
            self._note = found[1]
            return found[0]
        if given[2] is not None:
            self._note = f"the default here: the setting {name} is not in the given files"
            return given[2].strip('"')
        return None

    def _number(self, text: str, depth: int) -> float | str:
        text = text.strip()
        if re.fullmatch(r"[\d_]{1,15}(?:\.\d{1,6})?[dDfFmMlL]?", text):
            return float(text.rstrip("dDfFmMlL").replace("_", "") or 0)
        given = _SETTING.fullmatch(text)
        if given is not None:
            found = self._setting_text(given)
            if found is not None and re.fullmatch(r"\d{1,12}(?:\.\d{1,6})?", found):
                return float(found)
            return f"the setting {given[1] or given[3]} is not in the given files"
        product = re.fullmatch(r"([\w.]{1,60})\s*\*\s*([\w.]{1,60})", text)
        if product is not None and depth < _DEEPEST:
            a, b = self._number(product[1], depth + 1), self._number(product[2], depth + 1)
            return a if isinstance(a, str) else b if isinstance(b, str) else a * b
        declared = self._constant(text)
        if declared is not None and depth < _DEEPEST:
            return self._number(declared[0], depth + 1)
        return f"{text[:60]} is decided where it runs"

    def _constant(self, name: str) -> tuple[str, int] | None:
        """What a name of the file is declared to be, once: its text, and where that stands."""
        if not re.fullmatch(r"[A-Za-z_]\w{0,60}(?:\.\w{1,60})?", name):
            return None
        last = re.escape(name.rpartition(".")[2].encode())
        pattern = re.compile(
            rb"\b(?:const|readonly|var|TimeSpan|int|double)\s+(?:[A-Za-z]\w*\s+)?"
            + last
            + rb"\s*=(?![=>])\s*"
        )
        found = list(pattern.finditer(self._file.text))
        if len(found) != 1:
            return None
        start, end = found[0].end(), _end_of(self._file.text, found[0].end())
        span = self._file.source.span(found[0].start(), end)
        self._steps.append(Step(span, name))
        return self._file.text[start:end].decode("utf-8", "replace").strip(), start

    def _site(self, text: str, whole: str, start: int) -> Site | None:
        """The bytes of an expression in this file."""
        raw = text.encode()
        at = self._file.text.find(raw, start, start + _LONGEST + 20)
        if at == -1 or not start:
            return None
        span: Span = self._file.source.span(at, at + len(raw))
        return Site(span, "TimeSpan.FromSeconds({value})")


def _end_of(text: bytes, start: int) -> int:
    """The end of an expression: the `;`, `,` or bracket that is not its own."""
    depth = 0
    for at in range(start, min(len(text), start + _LONGEST)):
        byte = text[at : at + 1]
        if byte in b"([{":
            depth += 1
        elif byte in b")]}":
            depth -= 1
            if depth < 0:
                return at
        elif not depth and byte in b";,":
            return at
    return min(len(text), start + _LONGEST)


def _condition(text: bytes, at: int) -> int:
    """The line of a condition whose block holds this place; 0 for none. Looks only a little way back."""
    depth = 0
    for position in range(at - 1, max(0, at - 3_000), -1):
        byte = text[position : position + 1]
        if byte == b"}":
            depth += 1
        elif byte == b"{":
            depth -= 1
            if depth < 0:
                if _CONDITION.search(text[max(0, position - 400) : position]):
                    return text.count(b"\n", 0, position) + 1
                depth = 0
    return 0
