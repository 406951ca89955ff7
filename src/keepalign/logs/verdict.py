"""The first sentences of a diagnosis: what, where, how much, and what cures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keepalign.logs import causes
from keepalign.logs.known import short
from keepalign.logs.patterns import percent
from keepalign.model.diagnosis import Accounting, CauseGroup, Counted

TIMEOUTS: Final = frozenset({
    causes.KEEP_ALIVE, causes.LB_IDLE, causes.DRAIN, causes.STOP, causes.NO_GRACE, causes.NO_PRESTOP,
    causes.PROXY_READ, causes.WORKER, causes.APP_IDLE, causes.MARGIN_THIN, causes.PROXY_IDLE, causes.CLIENT,
    causes.SYNC_WORKER, causes.HELD_WORKERS,
})  # fmt: skip
"""Causes that times of this path cure."""
_NOT: Final = "Not a timeout problem."
_MOST: Final = 0.8
"""The share of errors from which on a place is named."""


def verdict(groups: Sequence[CauseGroup], accounting: Accounting, *, complete: bool) -> str:
    """The commonest cause, or why there is none.

    Args:
        complete: the lines are all that there were, so that a share of requests means something.
    """
    if not groups:
        if not accounting.fine:
            return "No ALB access log line could be read."
        return "No error among these lines."
    top = groups[0]
    meaning = top.meaning
    if top.remedies:
        # What follows the colon says which setting it is.
        meaning = f"{meaning.partition(': ')[0].rstrip('.')}."
    text = f"{_share(groups, accounting, complete=complete)}{_where(top, groups)}: {meaning}"
    if top.cause not in TIMEOUTS and top.cause != causes.UNEXPLAINED:
        if "Not a timeout" not in top.meaning:
            text += f" {_NOT}"
        timeouts = sum(group.number for group in groups if group.cause in TIMEOUTS)
        if timeouts:
            text += f" Timeouts made {timeouts:,} of the errors."
    if top.cause == causes.UNEXPLAINED and top.others:
        text += f" What would: {top.others[0].candidate.decide}"
    if top.remedies:
        what = "; ".join(remedy.what for remedy in top.remedies)
        text += f" {what[0].upper()}{what[1:]}."
    more = len(groups) - 1
    if more:
        text += f" {more} more cause{'s' if more > 1 else ''} below."
    return text


def _share(groups: Sequence[CauseGroup], accounting: Accounting, *, complete: bool) -> str:
    top = groups[0]
    # Refusals are no failures: they do not lessen the share of one.
    failed = sum(group.failed for group in groups)
    total = failed or sum(group.number for group in groups)
    number = top.failed if failed else top.number
    of = f"{number:,} of {total:,} errors" if total > 1 else "This error"
    requests = accounting.judged + accounting.fine
    share = (
        f"; {percent(number / requests)} of {requests:,} requests" if complete and requests > total else ""
    )
    return f"{of} (confidence {top.confidence}{share})"


def _where(top: CauseGroup, groups: Sequence[CauseGroup]) -> str:
    """The target group, the target and the path that nearly all are of, where there are others."""
    parts = []
    all_groups = {one.word for group in groups for one in group.groups}
    if (one := _nearly_all(top.groups, top)) and one.word and len(all_groups) > 1:
        parts.append(f"on target group {short(one.word)}")
    elif len(top.groups) > 1:
        parts.append(f"over {len(top.groups)} target groups")
    if top.number > 2:
        if (one := _nearly_all(top.paths, top)) and one.word and len(top.paths) > 1:
            parts.append(f"nearly all on {one.word}")
        if (one := _nearly_all(top.targets, top)) and one.word and len(top.targets) > 1:
            parts.append(f"nearly all of target {one.word}")
    return f", {', '.join(parts)}" if parts else ""


def _nearly_all(words: Sequence[Counted], group: CauseGroup) -> Counted | None:
    return words[0] if words and words[0].errors >= _MOST * group.number else None
