"""Testimonies and rows made by hand, and files of lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from keepalign.logs.alb import instant
from keepalign.logs.witness._line import Form, Line
from keepalign.logs.witness.files import Hearing, Witness, hear
from keepalign.logs.witness.interest import Interest
from keepalign.model.observation import LogRow, Saw, Testimony
from keepalign.units import Duration, Instant

ROOT: Final = "1-67891233-abcdef012345678912345678"
OTHER_ROOT: Final = "1-67891233-ffffffffffffffffffffffff"
SECOND: Final = Duration.of(s=1)


def utc(text: str) -> Instant:
    """Of "2026-11-23T00:32:20.5Z"."""
    found = instant(text)
    assert found is not None
    return found


NOON: Final = utc("2026-11-23T12:00:00Z")


def after(seconds: float) -> Instant:
    """So many seconds after noon."""
    return NOON + Duration.of(s=seconds)


def row(
    signature: str,
    *,
    at: float = 100.0,
    elapsed: float | None = None,
    target: str | None = "10.0.0.1:80",
    path: str = "/orders",
    trace: str | None = None,
    line: int = 1,
) -> LogRow:
    """A balancer's row: "0.001 0.000 -1 502 -", dated so many seconds after noon."""
    words = signature.split()
    times = [None if word == "-1" else Duration.of(s=float(word)) for word in words[:3]]
    statuses = [None if word == "-" else int(word) for word in words[3:]]
    if elapsed is None:
        elapsed = sum(time.seconds for time in times if time is not None)
    return LogRow(
        file="alb.log",
        line=line,
        type="http",
        time=after(at),
        elb="app/lb/50dc6c495c0c9188",
        client="192.0.2.7",
        client_port=40001,
        target=target,
        request_time=times[0],
        target_time=times[1],
        response_time=times[2],
        elb_status=statuses[0],
        target_status=statuses[1],
        received_bytes=94,
        sent_bytes=277,
        request=f"GET http://example.com:80{path}?id=1 HTTP/1.1",
        trace_id=None if trace is None else f"Root={trace}",
        created=after(at - elapsed),
    )


def spoke(
    saw: Saw,
    *,
    at: float,
    server: str = "nginx",
    file: str = "nginx.log",
    line: int = 1,
    precision: Duration = SECOND,
    method: str | None = None,
    path: str | None = None,
    status: int | None = None,
    took: float | None = None,
    trace: str | None = None,
    target: str | None = "10.0.0.1:80",
    text: str = "what it said",
) -> Testimony:
    """Dated so many seconds after noon."""
    return Testimony(
        file=file,
        line=line,
        server=server,
        at=after(at),
        precision=precision,
        saw=saw,
        method=method,
        path=path,
        status=status,
        took=None if took is None else Duration.of(s=took),
        trace=trace,
        target=target,
        text=text,
    )


def answered(at: float, status: int = 200, *, path: str = "/orders", **more: object) -> Testimony:
    """An access-log line."""
    return spoke(Saw.ANSWERED, at=at, status=status, path=path, method="GET", **more)  # type: ignore[arg-type] # handed on


def covered(first: float, last: float, **more: object) -> Testimony:
    """An access log goes on from `first` to `last`."""
    return spoke(Saw.COVERED, at=last, took=last - first, text="", **more)  # type: ignore[arg-type] # handed on


def told(form: Form, line: str) -> Line:
    """A line that the form reads."""
    found = form.read(line)
    assert found is not None, line
    return found


def heard_in(
    folder: Path,
    lines: Sequence[str] | bytes,
    *,
    name: str = "server.log",
    target: str | None = None,
    formats: tuple[str, ...] = (),
    zone: str = "",
    interest: Interest | None = None,
) -> Hearing:
    """What one file of lines says."""
    path = folder / name
    path.write_bytes(lines if isinstance(lines, bytes) else "".join(f"{one}\n" for one in lines).encode())
    return hear([Witness(str(path), target, formats, zone)], interest)


def saws(hearing: Hearing) -> list[Saw]:
    """What was said, but for `COVERED`."""
    return [one.saw for one in hearing.testimonies if one.saw is not Saw.COVERED]


ANY_ROW: Final = st.builds(
    row,
    st.sampled_from(
        [
            "0.001 0.000 -1 502 -",
            "0.001 -1 -1 504 -",
            "0.001 1.500 0.000 500 500",
            "-1 -1 -1 502 -",
            "-1 -1 -1 503 -",
            "0.001 -1 -1 460 -",
        ]
    ),
    at=st.floats(0, 50),
    path=st.sampled_from(["/a", "/b"]),
    target=st.sampled_from([None, "10.0.0.1:80", "10.0.0.2:80"]),
    trace=st.sampled_from([None, ROOT, OTHER_ROOT]),
)
ANY_TESTIMONY: Final = st.builds(
    spoke,
    st.sampled_from(Saw),
    at=st.floats(-10, 60),
    path=st.sampled_from([None, "/a", "/b"]),
    status=st.sampled_from([None, 200, 500, 502]),
    took=st.sampled_from([None, 0.0, 1.5, 30.0]),
    trace=st.sampled_from([None, ROOT, OTHER_ROOT]),
    target=st.sampled_from([None, "10.0.0.1:80", "10.0.0.2"]),
    file=st.sampled_from(["a.log", "b.log"]),
    line=st.integers(1, 9),
)
