"""Logs that every engine must read alike, and what reading them on this machine says."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from typing import Final

from tests.logs.lines import GROUP, line

from keepalign.logs import parts
from keepalign.logs.judge import judge
from keepalign.logs.objects import LogObject, Scanned, kind_by_name
from keepalign.logs.scan import scan
from keepalign.logs.sources import local
from keepalign.logs.wanted import Wanted
from keepalign.logs.windows import MOST_ROWS, windows
from keepalign.model.observation import Deployment, Evidence, Judged, Timers
from keepalign.units import Duration, Instant

NAME: Final = "123456789012_elasticloadbalancing_eu-central-1_app.lb.50dc6c495c0c9188_{}_10.0.0.9_{}.log"
OTHER: Final = GROUP.replace("orders", "search")
EVIDENCE: Final = Evidence(
    timers={
        "orders": Timers(idle_timeout=Duration.of(s=60), deregistration_delay=Duration.of(s=30)),
        "": Timers(keep_alive=Duration.of(s=5)),
    },
    deployments=(Deployment(Instant(1_795_341_700_000_000), ("10.0.0.1:80",), "events.json:1"),),
)
EVERYTHING: Final = Wanted()
_PATHS: Final = ("orders", "a/b", "x%20y")
_SIGNATURES: Final = (
    *("0.001 0.012 0.000 200 200",) * 12,
    "0.001 0.012 0.000 404 404",
    "0.001 0.001 -1 502 -",
    "0.001 0.004 -1 502 -",
    "0.001 4.205 -1 502 -",
    "-1 -1 -1 502 -",
    "0.001 60.001 -1 504 -",
    "-1 -1 -1 504 -",
    "0.001 30.002 0.000 504 504",
    "0.001 0.300 0.000 500 500",
    "0.000 3.000 -1 460 -",
    "-1 -1 -1 408 -",
    "-1 -1 -1 400 -",
    "-1 -1 -1 000 -",
    "-1 -1 -1 503 -",
)


def lines(seed: int, count: int, *, hours: int = 2) -> list[str]:
    """Lines of two balancers, three groups (one of them none) and as many hours, in no strict order."""
    rng = Random(seed)
    found = []
    for _ in range(count):
        signature = rng.choice(_SIGNATURES)
        lacks = signature.endswith(("503 -", "408 -", "400 -", "000 -"))
        group = rng.choice((GROUP, OTHER, "-"))
        elapsed = 10.0 if signature == "-1 -1 -1 504 -" else None
        at = rng.choice((rng.uniform(0, 3600 * hours), 1800 + rng.uniform(0, 0.03)))
        text = line(
            signature,
            at=at % 3600,
            elapsed=elapsed,
            target="-" if lacks else f"10.0.{len(group) % 7}.{rng.randint(1, 3)}:80",
            group="-" if lacks and rng.random() < 0.5 else group,
            request=f"GET https://a.example:443/{rng.choice(_PATHS)}/{rng.randint(1, 9)}?q=1 HTTP/1.1",
            elb=rng.choice(("app/lb/50dc6c495c0c9188", "app/other/60dc6c495c0c9188")),
            client=rng.choice(("192.0.2.7:40001", "2001:db8::7:50718")),
            kind=rng.choice(("http", "https", "h2", "wss")),
            sent_bytes=rng.choice((0, 277, 500)),
        )
        found.append(text.replace("T10:", f"T{10 + int(at // 3600):02d}:"))
    return found


_ERROR: Final = line("0.001 4.205 -1 502 -", at=1801.0)
_FINE: Final = line("0.001 0.012 0.000 200 200", at=1802.0)
HOSTILE: Final[tuple[bytes, ...]] = tuple(
    text if isinstance(text, bytes) else text.encode()
    for text in (
        _ERROR.replace("curl/8.5", r"\x22curl\x22"),
        _ERROR.replace("curl/8.5", r"a \" b"),
        _ERROR.replace("curl/8.5", r"ends in \\"),
        _ERROR.replace("curl/8.5", 'a "" b'),
        _ERROR.replace("curl/8.5", '""'),
        _ERROR.replace("curl/8.5", ""),
        _ERROR.replace("curl/8.5", 'x"y'),
        _ERROR.replace("curl/8.5", "a\x00b"),
        _ERROR.replace("curl/8.5", "a\x01\x02\x7fb\t"),
        _ERROR.replace("curl/8.5", "café 日本"),
        _ERROR.encode().replace(b"curl/8.5", b"\xff\xfe"),
        _ERROR.replace("curl/8.5", "' OR 1=1; DROP TABLE alb_lines; --"),
        _ERROR.replace("curl/8.5", "$(touch x) ${spark.x} `id`"),
        _ERROR.replace("curl/8.5", "x" * 70_000),
        _ERROR.replace("GET http://example.com:80/orders?id=1 HTTP/1.1", "- http://lb:80- -"),
        _ERROR.replace("192.0.2.7:40001", "2001:db8::7:50718"),
        _ERROR.replace(" 94 ", "  94 "),
        _ERROR + " ",
        " " + _ERROR,
        _ERROR + ' "h" "u" "s" 10.0.0.9',
        _ERROR + ' "h" "u" "s" 10.0.0.9 future "field of its own" 7',
        _ERROR + ' "h" bare "s"',
        _ERROR + ' "unclosed',
        _ERROR.replace('"curl/8.5"', '"curl/8.5'),
        _ERROR.replace("-1 502", "-1.000 502"),
        _ERROR.replace(".000000Z app", "Z app"),
        _ERROR.replace(".000000Z app", ".5Z app"),
        _ERROR.replace("2026-11-22T", "2028-02-29T"),
        _ERROR.replace("2026-11-22T", "2027-02-29T"),
        _ERROR.replace("2026-11-22T", "2026-11-31T"),
        _ERROR.replace("T10:", "T24:"),
        _ERROR.replace("10.0.0.1:80 0", "nowhere 0"),
        _ERROR.replace(" 94 ", " many "),
        _ERROR.replace("-1 502", "-1 5021"),
        _FINE.replace(" 94 ", " many "),
        _FINE.replace('"curl/8.5"', '"curl/8.5'),
        _FINE.replace("http ", "HTTP! ", 1),
        _FINE.replace("10.0.0.1:80 0", "nowhere 0"),
        _FINE.replace(".000000Z app", ":99Z app"),
        " ".join(_ERROR.split(" ")[:12]),
        " ".join(_ERROR.split(" ")[:11]),
        " ".join(_FINE.split(" ")[:12]),
        _ERROR[: _ERROR.index('"Root')].rstrip(),
        _ERROR[: _ERROR.index('"forward"')].rstrip(),
        "",
        "   ",
        "hello",
        '"',
        "\x1f",
    )
)


def write(folder: Path, contents: Sequence[Sequence[bytes]]) -> list[LogObject]:
    """One file per list, every second as gzip."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, content in enumerate(contents):
        path = folder / NAME.format(f"20261122T10{number:02d}Z", f"{number:08x}")
        data = b"\n".join(content) + b"\n"
        if number % 2:
            path = path.with_suffix(".log.gz")
            data = gzip.compress(data, mtime=0)
        path.write_bytes(data)
        names.append(str(path))
    return local(names).objects


def split(texts: Sequence[str], files: int) -> list[list[bytes]]:
    """The lines over as many files, in turn."""
    return [[text.encode() for text in texts[number::files]] for number in range(files)]


def read_here(
    objects: Sequence[LogObject],
    folder: Path,
    *,
    wanted: Wanted = EVERYTHING,
    most_rows: int = MOST_ROWS,
) -> tuple[list[Judged], list[Scanned]]:
    """What the scan and the judge of this machine say."""
    folder.mkdir(parents=True, exist_ok=True)
    scanned = [
        scan(obj, folder / f"{place}.part", kind=kind_by_name(obj.name)) for place, obj in enumerate(objects)
    ]
    rows = parts.rows(scanned, wanted=wanted, folder=folder)
    counters = parts.counters(scanned)
    cut = windows(rows, counters, EVIDENCE, complete=True, most_rows=most_rows)
    judged = [one for window in cut for one in judge(window)]
    return judged, scanned


def shares(scanned: Sequence[Scanned]) -> dict[str, tuple[int, ...]]:
    """Where the lines of each object went."""
    return {
        one.name: (
            one.lines,
            one.errors,
            one.fine,
            one.blank,
            one.rejected_lines,
            one.least or 0,
            one.most or 0,
        )
        for one in scanned
    }


def rejects(scanned: Sequence[Scanned]) -> list[tuple[str, int, int, str]]:
    """Rejected lines, in order."""
    return sorted((r.file, r.line, r.column, r.reason) for one in scanned for r in one.rejected)


class Silent:
    """Is told how it goes, and says nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""

    def agreed(self, question: str) -> bool:
        return False

    def reading(self, size: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda _: None)
