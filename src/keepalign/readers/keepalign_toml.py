"""keepalign.toml: what people declare, because no file of the stack says it.

    [[endpoint]]
    path = "/reports"
    longest_silence = "90s"       # without a byte of the response, the wait for the first one included
    longest_request = "90s"       # the whole exchange

    [application]
    time_scale_env = "ORDERS_TIME_SCALE"
    startup = "90s"               # from the start of a task or pod until its first good answer

    [containers]
    api = "app"                   # built from this folder or Dockerfile

    [in_front.aws-alb]            # a balancer that no file of the tree describes
    idle_timeout = "60s"

    [clients.billing]             # an HTTP client that calls it
    pool_idle = "90s"             # how long it keeps an idle connection; "unlimited"
    timeout = "30s"               # for a whole response; "unlimited"
    calls = "/api"                # a prefix of paths; without it all

`tomllib` reads the values and knows no positions; a scan of the lines finds where each key stands, and a
place counts only when the text there reads back as the value that tomllib gave. tomlkit would not help: it
keeps blanks and comments for writing, and no positions either.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from keepalign.errors import ReadError
from keepalign.model.path import Client
from keepalign.model.setting import Explicit, Unlimited
from keepalign.model.source import Origin, OriginKind, SourceText, Span, Step
from keepalign.model.workload import Endpoint, Workload
from keepalign.readers._fragments import Hints, KeepalignToml
from keepalign.units import ZERO, Duration

IN_FRONT: Final[Mapping[str, tuple[str, ...]]] = {"aws-alb": ("idle_timeout", "deregistration_delay")}
"""Kinds of balancer that can be declared, and their options. A deregistration delay may be zero."""

_TABLES: Final = ("endpoint", "application", "containers", "in_front", "clients")
_ENDPOINT: Final = ("path", "longest_silence", "longest_request")
_APPLICATION: Final = ("time_scale_env", "startup")
_CLIENT: Final = ("pool_idle", "timeout", "calls")
_UNLIMITED: Final = "unlimited"

_MARK: Final = "\ufeff"

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\\\n]*"|'[^'\n]*')"""
_HEADER: Final = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*\]\]?")
_PAIR: Final = re.compile(
    rf"""[ \t]*({_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*=[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s#"']+)"""
)

_Path = tuple[str | int, ...]


class KeepalignTomlReader:
    """Reads `keepalign.toml`."""

    name = "keepalign_toml"

    def recognise(self, path: str, head: bytes) -> bool:
        """Only by its name."""
        return path.replace("\\", "/").rpartition("/")[2] == "keepalign.toml"

    def read(self, source: SourceText) -> KeepalignToml:
        """What the file declares.

        Raises: ReadError: no TOML, an unknown key, a duration that is none, not above zero, or a longest
            request below the longest silence.
        """
        return _Reading(source).fragment()


def read(source: SourceText) -> KeepalignToml:
    """`KeepalignTomlReader.read`, for callers that have no reader at hand."""
    return KeepalignTomlReader().read(source)


class _Reading:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        try:
            self._text = source.data.decode("utf-8")
        except UnicodeDecodeError as error:
            place = source.span(error.start, error.start)
            raise ReadError(
                "is no UTF-8 text", file=source.file, line=place.line, column=place.column,
                hint="save the file as UTF-8",
            ) from error  # fmt: skip
        # TOML 1.0 knows no byte order mark, and editors on Windows write one.
        self._text = self._text.removeprefix(_MARK)
        try:
            self._raw: dict[str, object] = tomllib.loads(self._text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise self._invalid(str(error)) from error
        self._places = _scan(source, self._text)

    def _invalid(self, message: str) -> ReadError:
        match = re.search(
            r"^(.*) \((?:at line (\d+), column (\d+)|at end of document)\)$", message, re.DOTALL
        )
        if match is None:
            return ReadError(f"is no TOML: {message}", file=self._source.file)
        if match[2]:
            line, column = int(match[2]), int(match[3])
        else:
            end = self._source.span(len(self._source.data), len(self._source.data))
            line, column = end.line, end.column
        return ReadError(f"is no TOML: {match[1]}", file=self._source.file, line=line, column=column)

    def _span(self, path: _Path, value: object = None) -> Span:
        """Of `key = value` or of a table's header; the nearest table around it when it cannot be found."""
        found = self._places.get(path)
        if found is not None and (value is None or found[1] == value):
            return found[0]
        return self._span(path[:-1]) if path else self._source.span(0, 0)

    def _fail(self, path: _Path, message: str, hint: str = "", value: object = None) -> NoReturn:
        place = self._span(path, value)
        raise ReadError(message, file=place.file, line=place.line, column=place.column, hint=hint)

    def fragment(self) -> KeepalignToml:
        self._keys((), self._raw, _TABLES)
        endpoints = tuple(self._endpoint(n, e) for n, e in enumerate(self._list("endpoint")))
        seen: set[str] = set()
        for number, endpoint in enumerate(endpoints):
            if endpoint.path in seen:
                self._fail(("endpoint", number, "path"), f"{endpoint.path} is declared twice")
            seen.add(endpoint.path)
        application = self._table(("application",), self._raw.get("application", {}))
        self._keys(("application",), application, _APPLICATION)
        containers = self._table(("containers",), self._raw.get("containers", {}))
        return KeepalignToml(
            self._source.file,
            workload=Workload(endpoints),
            hints=Hints(
                time_scale_env=self._string(("application", "time_scale_env"), application, ""),
                containers={name: self._string(("containers", name), containers) for name in containers},
                in_front=self._in_front(),
                clients=self._clients(),
                startup=self._startup(application),
            ),
        )

    def _keys(self, path: _Path, table: Mapping[str, object], known: Iterable[str]) -> None:
        for key in table:
            if key not in known:
                near = next((k for k in known if _distance(key, k) <= 2), None)
                hint = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
                self._fail((*path, key), f"{key!r} is no key that keepalign knows", hint)

    def _table(self, path: _Path, value: object) -> Mapping[str, object]:
        if not isinstance(value, dict):
            name = str(path[-1] if isinstance(path[-1], str) else path[-2])
            self._fail(path, f"{name} must be a table", f"write [{name}] on a line of its own")
        return value

    def _list(self, name: str) -> list[Mapping[str, object]]:
        value = self._raw.get(name, [])
        if not isinstance(value, list):
            self._fail((name,), f"{name} must be a list of tables", f"write [[{name}]]")
        return [self._table((name, n), entry) for n, entry in enumerate(value)]

    def _string(self, path: _Path, table: Mapping[str, object], default: str | None = None) -> str:
        value = table.get(str(path[-1]), default)
        if not isinstance(value, str):
            self._fail(path, f"{path[-1]} must be a text in quotes", value=value)
        return value

    def _endpoint(self, number: int, table: Mapping[str, object]) -> Endpoint:
        here: _Path = ("endpoint", number)
        self._keys(here, table, _ENDPOINT)
        if "path" not in table:
            self._fail(here, "an endpoint without a path", 'add path = "/", or the prefix that is meant')
        path = self._string((*here, "path"), table)
        if not path.startswith("/"):
            self._fail((*here, "path"), f"the path {path!r} does not begin with /", value=path)
        silence = self._duration((*here, "longest_silence"), table)
        request = self._duration((*here, "longest_request"), table)
        if silence is None and request is None:
            self._fail(
                here, f"nothing is declared of {path}", 'add longest_silence = "…" or longest_request = "…"'
            )
        if silence is not None and request is not None and request < silence:
            self._fail(
                (*here, "longest_request"),
                f"the longest request ({request}) is shorter than the longest silence in it ({silence})",
                "raise longest_request, or lower longest_silence",
                table["longest_request"],
            )
        steps = [
            Step(self._span((*here, key), table[key]), f"{key} = {_shown(table[key])}")
            for key in ("path", "longest_request", "longest_silence")
            if key in table
        ]
        return Endpoint(path, silence, request, Origin(OriginKind.DECLARED, tuple(steps)))

    def _duration(self, path: _Path, table: Mapping[str, object], *, zero: bool = False) -> Duration | None:
        key = str(path[-1])
        if key not in table:
            return None
        value = table[key]
        hint = 'write a number with a unit, in quotes: "25s", "1m30s", "200ms"'
        if not isinstance(value, str):
            self._fail(path, f"{key} must be a duration in quotes", hint, value)
        try:
            duration = Duration.parse(value)
        except (ValueError, OverflowError):
            self._fail(path, f"{key}: {value!r} is no duration above zero", hint, value)
        if duration < ZERO or (duration == ZERO and not zero):
            self._fail(path, f"{key} must be above zero", hint, value)
        return duration

    def _startup(self, application: Mapping[str, object]) -> Explicit | None:
        path: _Path = ("application", "startup")
        value = self._duration(path, application)
        return (
            Explicit(option="startup", origin=self._said(path, application), value=value) if value else None
        )

    def _said(self, path: _Path, table: Mapping[str, object]) -> Origin:
        key = str(path[-1])
        step = Step(self._span(path, table[key]), f"{key} = {_shown(table[key])}")
        return Origin(OriginKind.DECLARED, (step,))

    def _clients(self) -> tuple[Client, ...]:
        declared = self._table(("clients",), self._raw.get("clients", {}))
        return tuple(self._client(name, self._table(("clients", name), declared[name])) for name in declared)

    def _client(self, name: str, table: Mapping[str, object]) -> Client:
        here: _Path = ("clients", name)
        self._keys(here, table, _CLIENT)
        calls = self._string((*here, "calls"), table, "/")
        if not calls.startswith("/"):
            self._fail((*here, "calls"), f"the path {calls!r} does not begin with /", value=calls)
        if "pool_idle" not in table and "timeout" not in table:
            self._fail(here, f"nothing is declared of {name}", 'add pool_idle = "…" or timeout = "…"')
        return Client(
            name,
            pool_idle=self._limit((*here, "pool_idle"), table),
            timeout=self._limit((*here, "timeout"), table),
            calls=calls,
            place=self._span(here),
        )

    def _limit(self, path: _Path, table: Mapping[str, object]) -> Explicit | Unlimited | None:
        key = str(path[-1])
        if table.get(key) == _UNLIMITED:
            return Unlimited(option=key, origin=self._said(path, table))
        value = self._duration(path, table)
        if value is None:
            return None
        return Explicit(option=key, origin=self._said(path, table), value=value)

    def _in_front(self) -> tuple[tuple[str, Mapping[str, str], Origin], ...]:
        declared = self._table(("in_front",), self._raw.get("in_front", {}))
        self._keys(("in_front",), declared, tuple(IN_FRONT))
        found: list[tuple[str, Mapping[str, str], Origin]] = []
        for kind, value in declared.items():
            here: _Path = ("in_front", kind)
            table = self._table(here, value)
            self._keys(here, table, IN_FRONT[kind])
            steps = [Step(self._span(here), f"[in_front.{kind}]")]
            for key in table:
                self._duration((*here, key), table, zero=key == "deregistration_delay")
                steps.append(Step(self._span((*here, key), table[key]), f"{key} = {_shown(table[key])}"))
            options = {key: self._string((*here, key), table) for key in table}
            found.append((kind, options, Origin(OriginKind.DECLARED, tuple(steps))))
        return tuple(found)


def _shown(value: object) -> str:
    return f'"{value}"'


def _scan(source: SourceText, text: str) -> dict[_Path, tuple[Span, object]]:
    """Where headers and `key = value` lines stand. Texts over several lines may hide or invent some: the
    caller checks each value.
    """
    places: dict[_Path, tuple[Span, object]] = {}
    counts: dict[_Path, int] = {}
    table: _Path = ()
    at = len(source.data) - len(text.encode())  # a byte order mark stands in front
    for line in text.split("\n"):
        start = len(line) - len(line.lstrip(" \t"))
        header = _HEADER.match(line)
        pair = None if header else _PAIR.match(line)
        match = header or pair
        if match is not None:
            begin = at + start
            # tomllib's text and the file agree byte for byte, so only the characters need encoding.
            end = begin + len(line[start : match.end()].encode())
            span = source.span(begin, end)
            if header:
                names = _names(header[2])
                table = tuple(names)
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                places.setdefault(table, (span, None))
            elif pair:
                places.setdefault((*table, *_names(pair[1])), (span, _parsed(pair[2])))
        at += len(line.encode()) + 1
    return places


def _names(dotted: str) -> list[str]:
    return [m.strip("\"'") for m in re.findall(_KEY, dotted)]


def _parsed(written: str) -> object:
    try:
        return tomllib.loads(f"v = {written}")["v"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _distance(a: str, b: str) -> int:
    """Levenshtein's: insertions, deletions and exchanges of one character."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]
