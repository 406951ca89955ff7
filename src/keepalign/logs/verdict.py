"""The first sentences of a diagnosis: what, where, how much, and what cures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keepalign.logs import causes
from keepalign.logs.known import short
from keepalign.logs.patterns import percent
from keepalign.model.diagnosis import Accounting, CauseGroup, Counted
from keepalign.model.finding import Confidence
from keepalign.reports.diagnosis import confidences

TIMEOUTS: Final = frozenset({
    causes.KEEP_ALIVE, causes.LB_IDLE, causes.DRAIN, causes.STOP, causes.NO_GRACE, causes.NO_PRESTOP,
    causes.PROXY_READ, causes.WORKER, causes.APP_IDLE, causes.MARGIN_THIN, causes.PROXY_IDLE, causes.CLIENT,
    causes.SYNC_WORKER, causes.HELD_WORKERS,
})  # fmt: skip
"""Causes that times of this path cure."""
_ENDS: Final = frozenset({causes.CLOSED, causes.STOP, causes.NO_GRACE})
"""How a target ends that refuses connections then, or a little before."""
_OWN_LIMITS: Final = frozenset({causes.WORKER, causes.APP_IDLE, causes.PROXY_READ})
_NOT: Final = "Not a timeout problem."
_MAYBE: Final = "A limit of the target itself may be behind it: what would tell is below."
_FEW: Final = 20
"""Requests from which on a share of them means something."""
_MOST: Final = 0.8
"""The share of errors from which on a place is named."""


def verdict(groups: Sequence[CauseGroup], accounting: Accounting, *, complete: bool) -> str:
    """The commonest cause, or why there is none.

    Args:
        complete: the lines are all that there were, so that a share of requests means something.
    """
    if not groups:
        if accounting.judged:
            return f"No error among those that were asked for; in all there are {accounting.judged:,}."
        if not accounting.fine:
            return "No ALB access log line could be read."
        return "No error among these lines."
    top = groups[0]
    meaning = top.meaning
    if top.remedies:
        # What follows the colon says which setting it is.
        meaning = f"{meaning.partition(': ')[0].rstrip('.')}."
    text = f"{_share(groups, accounting, complete=complete)}{_where(top, groups)}: {meaning}"
    if top.cause == causes.UNEXPLAINED:
        if top.others:
            text += f" What would: {top.others[0].candidate.decide}"
    elif (end := _end_behind(top, groups)) is not None:
        text += f" The same targets show {end.cause}, below: look there first."
    else:
        told = "Not a timeout" in top.meaning or top.cause == causes.CLIENT_SLOW
        maybe = top.cause not in TIMEOUTS and _maybe(top)
        if top.cause not in TIMEOUTS and not told and not maybe:
            text += f" {_NOT}"
        text += f" {_to_do(top)}"
        if maybe:
            text += f" {_MAYBE}"
    timeouts = sum(group.number for group in groups if group.cause in TIMEOUTS)
    if timeouts and top.cause not in TIMEOUTS and top.cause != causes.UNEXPLAINED:
        text += f" Timeouts made {timeouts:,} of the errors."
    more = len(groups) - 1
    if more:
        text += f" {more} more cause{'s' if more > 1 else ''} below."
    return text


def _to_do(top: CauseGroup) -> str:
    """The settings to change; where none is known, what to do first."""
    whats = [remedy.what for remedy in top.remedies] or [top.cure.partition(";")[0].rstrip(".")]
    what = f"{'; '.join(whats)}."
    return f"If so, {what}" if top.usual is Confidence.LOW else f"{what[0].upper()}{what[1:]}"


def _end_behind(top: CauseGroup, groups: Sequence[CauseGroup]) -> CauseGroup | None:
    """The cause that shows the end of targets which refuse connections: their ends come first."""
    if top.cause != causes.REFUSED:
        return None
    for other in groups:
        ended = {one.word for one in other.targets}
        met = sum(one.errors for one in top.targets if one.word in ended)
        if other.cause in _ENDS and met >= _MOST * top.number:
            return other
    return None


def _maybe(top: CauseGroup) -> bool:
    """Whether a timer of the target is among what a cause that is not certain could be as well."""
    others = {one.candidate.cause for one in top.others}
    return top.usual is not Confidence.HIGH and not others.isdisjoint(_OWN_LIMITS)


def _share(groups: Sequence[CauseGroup], accounting: Accounting, *, complete: bool) -> str:
    top = groups[0]
    # Refusals are no failures: they do not lessen the share of one.
    failed = sum(group.failed for group in groups)
    total = failed or sum(group.number for group in groups)
    number = top.failed if failed else top.number
    every = {1: "This error", 2: "Both errors"}.get(total, f"All {total:,} errors")
    of = f"{number:,} of {total:,} errors" if number < total else every
    requests = accounting.judged + accounting.fine
    # Of errors that were picked, by path or by time, nobody counted the requests.
    complete = complete and sum(group.number for group in groups) == accounting.judged
    share = (
        f"; {percent(number / requests)} of {requests:,} requests"
        if complete and requests >= max(total + 1, _FEW)
        else ""
    )
    return f"{of} (confidence {_sureness(top)}{share})"


def _sureness(top: CauseGroup) -> str:
    """ "high", "mostly medium", or the numbers where none has most."""
    numbers, most = dict(top.confidences), top.usual
    if len(numbers) == 1:
        return most
    return f"mostly {most}" if 2 * numbers[most] > top.number else confidences(top)


def _where(top: CauseGroup, groups: Sequence[CauseGroup]) -> str:
    """The target group, the target and the path that nearly all are of, where there are others."""
    parts = []
    all_groups = {one.word for group in groups for one in group.groups}
    if (one := _nearly_all(top.groups, top)) and one.word and len(all_groups) > 1:
        parts.append(f"on target group {short(one.word)}")
    elif (number := sum(bool(one.word) for one in top.groups)) > 1:
        parts.append(f"over {number} target groups")
    if top.number > 2:
        if (one := _nearly_all(top.paths, top)) and one.word and len(top.paths) > 1:
            parts.append(f"nearly all on {one.word}")
        if (one := _nearly_all(top.targets, top)) and one.word and len(top.targets) > 1:
            parts.append(f"nearly all of target {one.word}")
    return f", {', '.join(parts)}" if parts else ""


def _nearly_all(words: Sequence[Counted], group: CauseGroup) -> Counted | None:
    return words[0] if words and words[0].errors >= _MOST * group.number else None
