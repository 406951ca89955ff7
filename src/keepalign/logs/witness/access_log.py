"""Access logs: the formats that servers have predefined, what people add at their end, and formats as text.

nginx (and gunicorn) date a request's end, Apache its beginning (`%t`); both to the second. A format's text is
compiled to one expression in which nothing is tried twice, so reading is linear in any line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from statistics import median
from typing import Final, NamedTuple

from keepalign.errors import UsageError
from keepalign.logs.witness._line import (
    SECOND,
    Line,
    When,
    begun,
    clf,
    epoch,
    iso,
    microseconds,
    milliseconds,
    plain,
    request_of,
    seconds,
    status_of,
)
from keepalign.model.observation import Saw
from keepalign.units import Duration

CLIENT_LEFT: Final = 499
"""nginx's status of a request whose client closed the connection (ngx_http_request.h)."""

_QUOTED: Final = r"(?:[^\"\\]|\\.)*+"
_COMBINED: Final = re.compile(
    r"(?:(?P<vhost>[^\s\[\"]++:\d++) )?(?P<host>[^\s\[\"]++) [^\s\[\"]++ [^\[\"]*+"
    rf"\[(?P<time>[^\]]++)\] \"(?P<request>{_QUOTED})\" (?P<status>\d{{3}}|-)(?: (?P<bytes>\d++|-))?"
    rf"(?: \"{_QUOTED}\" \"{_QUOTED}\")?(?P<tail>(?: .*+)?)",
    re.ASCII,
)
"""common, combined and vhost_combined (mod_log_config; nginx's log module)."""
_WORD: Final = re.compile(rf"\"{_QUOTED}\"|[^\s\"]++|\"", re.ASCII)
_NAMED: Final = re.compile(r"(?:rt|request_time|req_time)[=:]\"?(\d{1,9}\.\d{1,6})", re.ASCII)
_DECIMAL: Final = re.compile(r"\d{1,9}\.\d{3}", re.ASCII)
_WHOLE: Final = re.compile(r"\d{1,15}", re.ASCII)
_BOTH: Final = re.compile(r"\d{1,9}/(\d{1,15})", re.ASCII)
_MOST_WORDS: Final = 24
_LEAST_US: Final = 1000
"""A lone column of whole numbers whose middle is above this is %D, microseconds: %T's would be hours."""


def answered(status: int | None) -> Saw:
    """What an access-log line of this status says."""
    return Saw.CLIENT_LEFT if status == CLIENT_LEFT else Saw.ANSWERED


class Combined:
    """common, combined, vhost_combined, and what stands behind them where it can be told.

    Told are: `$request_time` (the first column with three decimals, or behind `rt=`), `%T/%D`, and one lone
    column of whole numbers that can only be `%D`.

    Args:
        name: of the file, which may tell the server.
        sample: the file's first lines, which tell the columns.
    """

    def __init__(self, name: str, sample: Iterable[str] = ()) -> None:
        tails = [_words(match["tail"]) for line in sample if (match := _COMBINED.fullmatch(line))]
        self._column, self._unit = _took_column(tails)
        lowered = name.lower()
        self._server = (
            "apache"
            if self._unit is microseconds
            or any(word in lowered for word in ("apache", "httpd", "access_log"))
            else "gunicorn"
            if "gunicorn" in lowered
            else "nginx"
            if self._unit is seconds or "nginx" in lowered
            else ""
        )

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = _COMBINED.fullmatch(line)
        when = clf(match["time"]) if match is not None else None
        if match is None or when is None:
            return None
        server = "apache" if match["vhost"] else self._server
        took = self._took(match["tail"])
        if server == "apache" and took is not None:
            when = begun(when, took)
        status = status_of(match["status"])
        method, path = request_of(match["request"])
        return Line(server or "access log", when, answered(status), True, method, path, status, took)

    def _took(self, tail: str) -> Duration | None:
        if not tail:
            return None
        if named := _NAMED.search(tail):
            return seconds(named[1])
        if self._unit is None:
            return None
        word = next(islice(_WORD.finditer(tail), self._column, None), None)
        if word is None:
            return None
        both = _BOTH.fullmatch(word[0])
        return self._unit(both[1] if both else word[0])


def _words(tail: str) -> list[str]:
    return [match[0] for match in islice(_WORD.finditer(tail), _MOST_WORDS)]


_Unit = Callable[[str], Duration | None]


def _took_column(tails: Sequence[Sequence[str]]) -> tuple[int, _Unit | None]:
    """Which column behind the agent says how long a request took, and in what unit."""
    width = min(map(len, tails), default=0)
    columns = [[tail[n] for tail in tails] for n in range(width)]
    for n, column in enumerate(columns):
        if all(_BOTH.fullmatch(word) for word in column):
            return n, microseconds
        if all(_DECIMAL.fullmatch(word) for word in column):
            return n, seconds
    whole = [n for n, column in enumerate(columns) if all(_WHOLE.fullmatch(word) for word in column)]
    if len(whole) == 1 and median(int(word) for word in columns[whole[0]]) >= _LEAST_US:
        return whole[0], microseconds
    return 0, None


class _Part(NamedTuple):
    """A variable of a format: its form (empty: up to what follows), and what it says."""

    form: str
    role: str = ""


_CLF: Final = r"\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
_ISO: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d++)?(?:Z|[+-]\d\d:?\d\d)?"
_NUMBER: Final = r"[\d.]++|-"
# nginx puts "," between servers tried and " : " between groups of them (ngx_http_upstream_module).
_LIST: Final = r"[^\s,\"|;]++(?:(?:, | : )[^\s,\"|;]++)*+"

_NGINX: Final = {
    "time_local": _Part(_CLF, "clf"),
    "time_iso8601": _Part(_ISO, "iso"),
    "msec": _Part(r"\d++\.\d++", "epoch"),
    "request": _Part("", "request"),
    "request_method": _Part("", "method"),
    "request_uri": _Part("", "path"),
    "uri": _Part("", "path"),
    "document_uri": _Part("", "path"),
    "status": _Part(r"\d{3}|-", "status"),
    "request_time": _Part(_NUMBER, "took_s"),
    "upstream_addr": _Part(_LIST, "backend"),
    "upstream_status": _Part(_LIST),
    "upstream_response_time": _Part(_LIST),
    "upstream_connect_time": _Part(_LIST),
    "upstream_header_time": _Part(_LIST),
    "body_bytes_sent": _Part(r"\d++|-"),
    "bytes_sent": _Part(r"\d++|-"),
    "request_length": _Part(r"\d++|-"),
}
_APACHE: Final = {
    "t": _Part(rf"\[{_CLF}\]", "clf"),
    "r": _Part("", "request"),
    "m": _Part("", "method"),
    "U": _Part("", "path"),
    "s": _Part(r"\d{3}|-", "status"),
    "D": _Part(r"-?\d++", "took_us"),
    "T": _Part(r"-?\d++", "took_whole_s"),
}
_TIMES: Final = {
    "": _Part(rf"\[{_CLF}\]", "clf"),
    "sec": _Part(r"\d++", "epoch"),
    "msec": _Part(r"\d++", "epoch_ms"),
    "usec": _Part(r"\d++", "epoch_us"),
    "msec_frac": _Part(r"\d{3}"),
    "usec_frac": _Part(r"\d{6}"),
    "%d/%b/%Y:%H:%M:%S %z": _Part(_CLF, "clf"),
    "%d/%b/%Y:%T %z": _Part(_CLF, "clf"),
    "%Y-%m-%dT%H:%M:%S%z": _Part(_ISO, "iso"),
    "%Y-%m-%dT%T%z": _Part(_ISO, "iso"),
    "%FT%T%z": _Part(_ISO, "iso"),
    "%Y-%m-%dT%H:%M:%SZ": _Part(_ISO, "iso"),
    "%Y-%m-%dT%H:%M:%S": _Part(_ISO, "iso"),
}
"""What may stand in %{…}t (mod_log_config)."""
_GUNICORN: Final = {
    "t": _Part(rf"\[{_CLF}\]", "clf"),
    "r": _Part("", "request"),
    "m": _Part("", "method"),
    "U": _Part("", "path"),
    "s": _Part(r"\d{3}|-", "status"),
    "T": _Part(r"\d++", "took_whole_s"),
    "M": _Part(r"\d++", "took_ms"),
    "D": _Part(r"\d++", "took_us"),
    "L": _Part(r"\d++\.\d++", "took_s"),
}

_NGINX_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_APACHE_VARIABLE: Final = re.compile(r"%[!<>,\d]*+(?:\{([^{}]*+)\})?(\^[a-zA-Z]{2}|[a-zA-Z%])", re.ASCII)
_GUNICORN_VARIABLE: Final = re.compile(r"%\(([^()]*+)\)s", re.ASCII)


class Compiled:
    """A format as its text says it. See `compile_format`."""

    def __init__(self, server: str, pattern: re.Pattern[str], roles: Sequence[str], *, begins: bool) -> None:
        self._server = server
        self._pattern = pattern
        self._roles = roles
        self._begins = begins

    def read(self, line: str) -> Line | None:
        """See `Form`."""
        match = self._pattern.fullmatch(line)
        if match is None:
            return None
        said = dict(zip(self._roles, match.groups(), strict=True))
        when = _when(said)
        if when is None:
            return None
        took = _took(said)
        status = status_of(said.get("status", ""))
        method, path = request_of(said.get("request", ""))
        if "method" in said:
            method = said["method"]
        if path is None and said.get("path", "").startswith("/"):
            path = plain(said["path"])
        if self._begins:
            when = begun(when, took)
        backend = said.get("backend")
        return Line(
            self._server,
            when,
            answered(status),
            True,
            method,
            path,
            status,
            took,
            None if backend == "-" else backend,
        )


def _when(said: dict[str, str]) -> When | None:
    """The most precise of the times."""
    if "epoch_us" in said:
        return epoch(f"{said['epoch_us'][:-6]}.{said['epoch_us'][-6:]}")
    if "epoch_ms" in said:
        return epoch(f"{said['epoch_ms'][:-3]}.{said['epoch_ms'][-3:]}")
    if "epoch" in said:
        return epoch(said["epoch"])
    if "iso" in said:
        return iso(said["iso"])
    return clf(said["clf"].strip("[]")) if "clf" in said else None


def _took(said: dict[str, str]) -> Duration | None:
    if "took_us" in said:
        return microseconds(said["took_us"])
    if "took_ms" in said:
        return milliseconds(said["took_ms"])
    if "took_s" in said:
        return seconds(said["took_s"])
    # Whole seconds only: half a second more is as good a guess as any, and its precision is not claimed.
    whole = seconds(said.get("took_whole_s", ""))
    return whole if whole is not None and whole >= SECOND else None


def compile_format(text: str) -> Compiled:
    """A form of the text of nginx's `log_format`, Apache's `LogFormat` or gunicorn's `access_log_format`.

    Raises: UsageError: the text names no time, no status or no request, or two variables without anything
        between them cannot be told apart.
    """
    if _GUNICORN_VARIABLE.search(text):
        return _compiled("gunicorn", text, _GUNICORN_VARIABLE, _gunicorn_part, begins=False)
    if "$" in text:
        return _compiled("nginx", text, _NGINX_VARIABLE, _nginx_part, begins=False)
    ends = "%{end:" in text
    return _compiled("apache", text.replace('\\"', '"'), _APACHE_VARIABLE, _apache_part, begins=not ends)


def _nginx_part(match: re.Match[str]) -> _Part:
    return _NGINX.get(match[1] or match[2], _Part(""))


def _gunicorn_part(match: re.Match[str]) -> _Part:
    return _GUNICORN.get(match[1], _Part(""))


def _apache_part(match: re.Match[str]) -> _Part:
    argument, letter = match[1], match[2]
    if letter == "t" and argument is not None:
        form = argument.removeprefix("begin:").removeprefix("end:")
        return _TIMES.get(form, _Part(""))
    if letter == "T" and argument is not None:
        return {"us": _Part(r"-?\d++", "took_us"), "ms": _Part(r"-?\d++", "took_ms")}.get(
            argument, _APACHE["T"]
        )
    return _APACHE.get(letter, _Part("")) if argument is None else _Part("")


def _compiled(
    server: str,
    text: str,
    variable: re.Pattern[str],
    part_of: Callable[[re.Match[str]], _Part],
    *,
    begins: bool,
) -> Compiled:
    pieces: list[str] = []
    roles: list[str] = []
    place = 0
    matches = [match for match in variable.finditer(text) if match[0] != "%%"]
    for n, match in enumerate(matches):
        before = text[place : match.start()].replace("%%", "%")
        pieces.append(re.escape(before))
        place = match.end()
        part = part_of(match)
        after = text[place : matches[n + 1].start() if n + 1 < len(matches) else len(text)]
        form = part.form or _until(before, after.replace("%%", "%"), last=n + 1 == len(matches))
        if form is None:
            raise UsageError(
                f"in the log format {match[0]} is followed at once by {matches[n + 1][0]}",
                hint="a format whose fields are set apart can be read",
            )
        if part.role and part.role not in roles:
            roles.append(part.role)
            pieces.append(f"((?>{form}))")
        else:
            pieces.append(f"(?>{form})")
    pieces.append(re.escape(text[place:]))
    _must_tell(text, roles)
    return Compiled(server, re.compile("".join(pieces), re.ASCII | re.DOTALL), roles, begins=begins)


def _until(before: str, after: str, *, last: bool) -> str | None:
    """What a variable without a form of its own may hold; None: nothing ends it."""
    if before.endswith('"') and after.startswith('"'):
        return _QUOTED
    if after:
        return rf"(?:(?!{re.escape(after)}).)*+"
    return ".*+" if last else None


def _must_tell(text: str, roles: Sequence[str]) -> None:
    shown = text if len(text) <= 60 else text[:60] + "…"
    for wanted, names in (
        ("time", {"clf", "iso", "epoch", "epoch_ms", "epoch_us"}),
        ("status", {"status"}),
        ("request", {"request", "path"}),
    ):
        if not names & set(roles):
            raise UsageError(
                f"the log format {shown!r} has no {wanted} in it",
                hint="give the text of nginx's log_format or Apache's LogFormat, or the file that holds it",
            )


_LOG_FORMAT: Final = re.compile(
    r"\blog_format\s++[^\s;'\"]++((?:\s++(?:escape=\w++|'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|[^\s;'\"]++))++)\s*+;"
)
_LOG_FORMAT_WORD: Final = re.compile(
    r"escape=\w++|'((?:[^'\\]|\\.)*+)'|\"((?:[^\"\\]|\\.)*+)\"|([^\s;'\"]++)"
)
_APACHE_FORMAT: Final = re.compile(
    r"^[ \t]*+(?:LogFormat|CustomLog[ \t]++(?:\"[^\"\n]*+\"|[^\s\"]++))[ \t]++\"((?:[^\"\\\n]|\\.)*+)\"",
    re.MULTILINE | re.IGNORECASE,
)


def formats_in(text: str) -> list[str]:
    """The texts of the formats in a configuration of nginx or Apache; else `text` is one itself."""
    found = [
        "".join(
            next((part for part in word.groups() if part is not None), "")
            for word in _LOG_FORMAT_WORD.finditer(match[1])
        )
        for match in _LOG_FORMAT.finditer(text)
    ]
    found += [match[1] for match in _APACHE_FORMAT.finditer(text)]
    return found or [text.strip()]
