"""Which lines are asked for: `--since`, `--until`, `--target-group`, `--path`."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from keepalign.logs.windows import SLICE_MINUTES
from keepalign.model.observation import LogRow
from keepalign.units import Instant

_SLICE_US: Final = SLICE_MINUTES * 60_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty or None: no limit.

    Args:
        since, until: of the line's time; `until` is not included.
        target_group: its name, or its ARN. path: exact, or with * and ?.
    """

    since: Instant | None = None
    until: Instant | None = None
    target_group: str = ""
    path: str = ""

    def keeps(self, row: LogRow) -> bool:
        """Whether the row is asked for."""
        if self.since is not None and row.time < self.since:
            return False
        if self.until is not None and row.time >= self.until:
            return False
        if self.target_group and not of_group(row.target_group or "", self.target_group):
            return False
        return not self.path or fnmatchcase(row.path, self.path)

    @property
    def windows(self) -> Wanted:
        """All rows of the windows that hold these, of any path: a row is judged by its neighbours, so the
        judge sees them, whoever asks for less is told less."""
        return Wanted(
            Instant(self.since.us // _SLICE_US * _SLICE_US) if self.since is not None else None,
            Instant(-(-self.until.us // _SLICE_US) * _SLICE_US) if self.until is not None else None,
            self.target_group,
        )

    @property
    def all(self) -> bool:
        """Whether nothing was asked for in particular."""
        return self == Wanted()


def of_group(arn: str, wanted: str) -> bool:
    """Whether an ARN is that of the target group `wanted`, a name or an ARN."""
    return wanted in (arn, arn.partition(":targetgroup/")[2].partition("/")[0])
