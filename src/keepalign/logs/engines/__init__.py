"""Where error rows are found and judged: on this machine, or where the logs are.

Each engine selects error rows and counts, cuts them into the same windows and asks the same judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from keepalign.logs.objects import Scanned
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Interrupted
from keepalign.model.observation import Judged


@dataclass(slots=True)
class Portion:
    """Rows that were judged: counted, and one by one where somebody wants them so."""

    tally: Tally
    judged: Sequence[Judged] = ()


@dataclass(slots=True)
class Judgement:
    """An engine's answer.

    Args:
        judged: in the order of windows, then of time; read it once, to its end.
        portions: the same, in place of `judged`, from an engine that counts where it judges.
        scanned: where every line went, per object; whole when `judged` is at its end.
        notes: what else the user should know.
        interrupted: given when reading was ended before its end.
    """

    judged: Iterator[Judged] = field(default_factory=lambda: iter(()))
    scanned: list[Scanned] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: Interrupted | None = None
    portions: Iterator[Portion] | None = None
