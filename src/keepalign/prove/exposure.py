"""Which requests of a run a cause could have hit.

An error rate needs its base: zero errors among requests that were never in danger prove nothing. The base of
each cause is counted by the same definition before and after, with the limits of the stack *before* the fix.
"""

from __future__ import annotations

from collections.abc import Mapping

from keepalign.lab.experiment import Run
from keepalign.model.trace import BalancerRecord
from keepalign.prove.attribute import (
    CUT,
    DRAIN,
    LB_IDLE,
    PROXY_READ,
    STALE,
    WORKER,
    Limits,
    deregistrations,
    path_for,
)
from keepalign.units import Duration

# A request that waited this much less than the limit was, for a timer on a busy machine, at the limit.
_TOLERANCE = Duration.of(ms=20)


def exposed(run: Run, before: Mapping[str, Limits]) -> dict[str, int]:
    """Requests in danger per cause.

    - stale re-use: sent on a re-used connection after a gap inside the race window (`attribute.Race`);
    - idle timeout of the balancer, read timeout of a proxy: the target was silent for at least the old limit;
    - worker limit: the request lasted for at least the old limit, silent all the while, or not (a cut body);
    - deregistration: in flight on a target when its old deregistration delay ran out.

    Args:
        before: the limits by path name, as run, of the stack before the fix.
    """
    deregistered = deregistrations(run)
    counts = dict.fromkeys((STALE, LB_IDLE, DRAIN, PROXY_READ, WORKER, CUT), 0)
    for record in run.trace.balancer:
        if record.sent_to_target is None:
            continue
        limits = before[path_for(run.experiment.paths, record.path).name]
        if limits.race is not None and limits.race.exposes(record, run.lags):
            counts[STALE] += 1
        if limits.balancer_silence is not None and _waited(record) >= limits.balancer_silence - _TOLERANCE:
            counts[LB_IDLE] += 1
        if limits.proxy_silence is not None and _waited(record) >= limits.proxy_silence - _TOLERANCE:
            counts[PROXY_READ] += 1
        if limits.worker is not None:
            if _waited(record) >= limits.worker - _TOLERANCE:
                counts[WORKER] += 1
            elif record.ended - record.sent_to_target >= limits.worker - _TOLERANCE:
                counts[CUT] += 1
        began = deregistered.get(record.target)
        if began is not None and limits.drain is not None:
            cut = began + limits.drain
            if record.sent_to_target <= cut <= record.ended:
                counts[DRAIN] += 1
    return counts


def _waited(record: BalancerRecord) -> Duration:
    """How long the target was silent before its first byte, or until the end when none came."""
    assert record.sent_to_target is not None
    until = record.first_byte if record.first_byte is not None else record.ended
    return until - record.sent_to_target
