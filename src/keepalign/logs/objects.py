"""What a log is read from: an object with a name, and what is known of it before it is opened.

Objects go to worker processes: all of this can be pickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Final

from keepalign.model.observation import LogRow, Rejected

Opener = Callable[[], BinaryIO]
"""Opens the object's bytes as they are stored. Raises: ReadError: it is gone, or must not be read."""


class Kind(StrEnum):
    """What an object holds."""

    ALB = "ALB access log"
    ALB_JSON = "ALB access log as JSON lines"
    PARQUET = "ALB access log as Parquet"
    CLASSIC = "Classic Load Balancer access log"
    CONNECTION = "ALB connection log"
    HEALTH = "ALB health check log"
    TEST = "test file of log delivery"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class LogObject:
    """One file or S3 object.

    Args:
        name: as shown: a path, "-", or "s3://bucket/key".
        size: stored bytes; 0 when unknown (standard input).
        tag: changes when the content does: an ETag, or size and modification time; empty: never cached.
        opener: can be pickled, unless the object is standard input.
    """

    name: str
    size: int
    tag: str
    opener: Opener


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that is not read. `why`: what it is, or the time it holds."""

    name: str
    why: str


_NAMES: Final = (
    (Kind.TEST, re.compile(r"(?:^|/)ELBAccessLogTestFile|(?:^|/)ELBConnectionLogTestFile", re.ASCII)),
    (Kind.CONNECTION, re.compile(r"(?:^|/)conn_log[._]", re.ASCII)),
    (Kind.HEALTH, re.compile(r"(?:^|/)health_check_log_", re.ASCII)),
    (Kind.ALB, re.compile(r"_elasticloadbalancing_[a-z0-9-]+_app\.[^/]*\.log(?:\.gz)?$", re.ASCII)),
    (Kind.CLASSIC, re.compile(r"_elasticloadbalancing_[a-z0-9-]+_[^/]*\.log$", re.ASCII)),
)


def kind_by_name(name: str) -> Kind | None:
    """What the name says of the content (ALB and CLB guides, "Access log files"); None: nothing."""
    for kind, form in _NAMES:
        if form.search(name):
            return kind
    return None


Counts = dict[tuple[str, int, str, str, str], int]
"""Lines by (elb, minute since the epoch, target or "-", elb status, target status), texts as in the log."""

Groups = set[tuple[str, str, str]]
"""(elb, target, target group ARN) that were seen together; texts as in the log."""

REJECTS_SHOWN: Final = 1000
"""Rejected lines that an object keeps with their text; further ones are only counted."""


@dataclass(slots=True)
class Scanned:
    """One object's share, accounted for: lines = errors + fine + blank + rejected_lines + continued.

    Args:
        kind: by its content where the name says nothing.
        errors: lines to judge. fine: lines that are no error.
        part: file with the error lines; empty when there are none. See `logs.parts`.
        foreign: of the rejected lines, records of other logs of a balancer (`formats.OTHER_LOGS`).
        rows: instead of `part`, for what was pasted.
        notes: a gzip member that broke off, and the like.
        least, most: minutes since the epoch of the first and the last line; None without lines.
    """

    name: str
    kind: Kind
    size: int = 0
    lines: int = 0
    errors: int = 0
    fine: int = 0
    blank: int = 0
    continued: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    rejected_lines: int = 0
    foreign: int = 0
    counts: Counts = field(default_factory=dict)
    groups: Groups = field(default_factory=set)
    part: str = ""
    rows: list[LogRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    least: int | None = None
    most: int | None = None
    cached: bool = False
