"""Input that breaks log tools, and what no report may pass on of it (for `test_hostile`)."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from tests.logs.lines import GROUP, line

FINE: Final = line("0.001 0.020 0.000 200 200", at=99)
ERROR: Final = line("0.001 0.000 -1 502 -", at=100, sent_bytes=277)
PAIR: Final = f"{FINE}\n{ERROR}\n".encode()

MARKUP: Final = "<script>alert(1)</script><img/src=x/onerror=alert(2)>"
ATTRIBUTE: Final = "'onmouseover='alert(3)'\x22autofocus/onfocus=\x22alert(4)"
SQL: Final = "x'OR'1'='1';DROP/**/TABLE/**/alb_access_logs;--"
SHELL: Final = "$(touch${IFS}/tmp/owned)`id`;reboot|sh&"
TABLE: Final = "|a|b|`c`|[x](javascript:alert(5))|@everyone|</details>"
CONTROL: Final = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b5n\x7f\r\x08\u202e\u2028\u200b"
TEMPLATE: Final = "%s%n%(x)s{0.__class__}{}%x22%0d%0a"
FOREIGN: Final = (MARKUP, ATTRIBUTE, SQL, SHELL, TABLE, CONTROL, TEMPLATE, "=cmd|'/C calc'!A0", "\x00\x00")

_FIELDS: Final = FINE.split(" ")


def _path(text: str) -> str:
    return line("0.001 0.000 -1 502 -", request=f"GET http://a:80/{text} HTTP/1.1", reason=text[:20])


def _fields(number: int, signature: str) -> bytes:
    """A whole line of so many fields, of which there are 34 and then more to come."""
    full = line(signature) + ' "-" "-" "-" 10.9.8.7' + "".join(f' "new{n}"' for n in range(60))
    fields = re.findall(r'"[^"]*"|[^ ]+', full)
    return " ".join(fields[:number]).encode()


LINES: Final[Mapping[str, bytes]] = {
    "foreign-path": "\n".join(map(_path, FOREIGN)).encode("utf-8", "surrogatepass"),
    "foreign-elb": "\n".join(line("0.001 0.000 -1 502 -", elb=f"app/{t}/5") for t in FOREIGN).encode(),
    "foreign-group": "\n".join(line("0.001 0.000 -1 502 -", group=f"arn:{t}") for t in FOREIGN).encode(),
    "foreign-target": "\n".join(
        line("0.001 0.000 -1 502 -", target=f"{t[:50]}:80") for t in FOREIGN
    ).encode(),
    "foreign-client": "\n".join(line("0.001 0.000 -1 502 -", client=f"{t}:80") for t in FOREIGN).encode(),
    "foreign-type": "\n".join(line("0.001 0.000 -1 502 -", kind=t) for t in FOREIGN).encode(),
    "group-in-sql": line("0.001 0.000 -1 502 -", group=f"{GROUP}'OR'1'='1").encode(),
    "hex-quote": line("0.001 0.000 -1 502 -", request=r"GET http://a:80/\x22q\x22 HTTP/1.1").encode(),
    "backslash-quote": line("0.001 0.000 -1 502 -", request=r"GET http://a:80/\"q\" HTTP/1.1").encode(),
    "backslash-end": line("0.001 0.000 -1 502 -", request="GET http://a:80/ HTTP/1.1\\").encode(),
    "bare-quotes": line("0.001 0.000 -1 502 -", request='GET http://a:80/"q"" HTTP/1.1').encode(),
    "open-quote": ERROR[: ERROR.index(" HTTP/1.1")].encode(),
    "ipv6": line(
        "0.001 0.000 -1 502 -", client="2a02:db8:0:0:0:0:f215:50718", target="fd00::1:8080"
    ).encode(),
    "malformed-request": line("-1 -1 -1 400 -", target="-", request="- http://host:80- -").encode(),
    "malformed-502": line("-1 -1 -1 502 -", request="- - - ").encode(),
    "nul": ERROR.replace("curl", "cu\0rl").encode() + b"\n\0\0\0\n\0",
    "latin-1": ERROR.replace("curl", "c\xfcrl").encode("latin-1"),
    "controls": bytes(range(32)) + b" " + bytes(range(127, 256)),
    "long-agent": ERROR.replace("curl", "c" * 1_000_000).encode(),
    "too-long": ERROR.replace("curl", "c" * 1_100_000).encode(),
    "long-word": b"x" * 1_000_000,
    "bom": b"\xef\xbb\xbf" + ERROR.encode(),
    "utf-16": (ERROR + "\n" + FINE + "\n").encode("utf-16"),
    "crlf": f"{ERROR}\r\n{FINE}\r\n\r\n".encode(),
    "cr": f"{ERROR}\r{FINE}\r".encode(),
    "vertical": f"{ERROR}\x0b\x0c\x85\u2028\n\x1c\x1d\n{FINE}".encode(),
    "year-1970": ERROR.replace("2026-11-22", "1970-01-01").encode(),
    "year-0001": ERROR.replace("2026-11-22", "0001-01-01").encode(),
    "year-9999": ERROR.replace("2026-11-22T10", "9999-12-31T23").encode(),
    "created-1970": (ERROR[:-300] + ERROR[-300:].replace("2026-11-22", "1970-01-01")).encode(),
    "created-9999": (ERROR[:-300] + ERROR[-300:].replace("2026-11-22", "9999-12-31")).encode(),
    "created-later": line("0.001 0.000 -1 502 -", at=100, elapsed=-50).encode(),
    "leap-second": ERROR.replace("T10:01:40", "T23:59:60").encode(),
    "no-such-day": ERROR.replace("2026-11-22", "2026-02-30").encode(),
    "arabic-digits": ERROR.replace("2026", "٢٠٢٦").encode(),
    "huge-numbers": ERROR.replace(" 94 ", f" {'9' * 18} ").replace("0.001", "999999999.999999").encode(),
    "too-huge": ERROR.replace(" 94 ", f" {'9' * 5000} ").encode(),
    "statuses": "\n".join(
        line(f"0.001 0.000 -1 {a} {b}") for a in ("000", "999", "460", "-") for b in ("000", "999", "-")
    ).encode(),
    "not-a-number": ERROR.replace("0.001", "nan").encode(),
    "exponent": ERROR.replace("0.001", "1e9").encode(),
    "fields": b"\n".join(
        _fields(number, signature)
        for number in (0, 1, 11, 12, 13, 25, 29, 30, 33, 34, 60)
        for signature in ("0.001 0.000 -1 502 -", "0.001 0.020 0.000 200 200")
    ),
    "blanks": b"\n\n   \n\t\n\r\n",
    "fence": f"```\n{ERROR}\n```\n> {FINE}".encode(),
    "json-half": b'{"elb_status_code": 502, "type": "http"\n',
    "json-nested": b'{"message":' * 3_000 + b'"elb_status_code"',
    "json-wrong": b'{"elb_status_code": {"a": [1e999]}, "time": null}\n[]\n5\n"x"\n{"elb_status_code": ""}\n',
    "classic": b"2015-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057"
    b' 502 502 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -\n' * 2,
    "parquet": b"PAR1" + b"\xff" * 200 + b"PAR1",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
    "test-file": b"Enable AccessLog for ELB: my-lb at 2026-11-22T10:00:00Z\n",
    "gzip-of-nothing": gzip.compress(b""),
}
"""By name, what a file or standard input holds, without good lines around it."""

ELEMENTS: Final = frozenset(
    ("a", "body", "code", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "footer", "h1", "h2",
     "head", "html", "li", "line", "main", "meta", "ol", "p", "polyline", "pre", "rect", "section", "span",
     "strong", "style", "summary", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul")
)  # fmt: skip
"""What pages of `diagnose` are made of."""


@dataclass(frozen=True, slots=True)
class Page:
    """What an HTML page is made of. `attributes`: (element, attribute). `links`: the values of addresses."""

    elements: frozenset[str]
    attributes: frozenset[tuple[str, str]]
    links: frozenset[str]


class _Parser(HTMLParser):
    """Collects elements. One that is closed out of turn is an error."""

    VOID: Final = frozenset(("meta", "br", "hr", "img", "input", "link"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.links: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        for name, value in attrs:
            self.attributes.add((tag, name))
            if name in ("href", "src", "action", "xlink:href"):
                self.links.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data!r}")


def page_of(data: str) -> Page:
    """The parts of a page whose elements are closed in turn."""
    parser = _Parser()
    parser.feed(data)
    parser.close()
    assert parser.open == []
    return Page(
        frozenset(parser.elements),
        frozenset(parser.attributes),
        frozenset(parser.links),
    )


def unprintable(text: str) -> list[str]:
    """What a terminal or a viewer would obey: every character that is neither printable nor a line's end."""
    return [character for character in text if character != "\n" and not character.isprintable()]


_FENCE: Final = re.compile(r"(`{3,})\w*")
_CODE: Final = re.compile(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)")
_OWN_HTML: Final = re.compile(r"<!-- keepalign diagnose -->|</?details(?: open)?>|</?summary>|</?code>")
_CELL: Final = re.compile(r"(?<!\\)\|")


def markdown_prose(text: str) -> Iterator[str]:
    """The lines of GitHub's Markdown that are not in a block of code, without code in the line."""
    fence = ""
    for text_line in text.splitlines():
        if fence:
            fence = "" if text_line == fence else fence
        elif found := _FENCE.fullmatch(text_line):
            fence = found[1]
        else:
            yield _CODE.sub("CODE", text_line)
    assert not fence


def check_markdown(text: str) -> None:
    """No element of HTML but the report's own, no link, no mention, and every row of the table is whole."""
    for prose in markdown_prose(text):
        own = _OWN_HTML.sub("", prose)
        assert not re.search(r"(?<!\\)<[/!?a-zA-Z]", own), prose
        assert not re.search(r"(?<!\\)\]\(", own), prose
        assert not re.search(r"@\w", own), prose
        if prose.startswith("|"):
            assert len(_CELL.findall(prose)) == 7, prose


def check_json(text: str) -> dict[str, object]:
    """The report; no control character stands in it as itself."""
    report = json.loads(text)
    assert isinstance(report, dict)
    assert unprintable(text) == []
    return report
