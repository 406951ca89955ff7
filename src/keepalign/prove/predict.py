"""What the runs cannot show: the error rate in life, where times are not scaled, in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from keepalign.lab.experiment import ONE_WAY
from keepalign.model.path import RequestPath
from keepalign.model.proof import InLife
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.units import ZERO, Duration

_ROUND_TRIP: Final = ONE_WAY * 2
# A balancer's own latency from a packet to its pool is not published; a millisecond is assumed.
_LATENCY: Final = Duration.of(ms=1)


def stale_in_life(paths: Iterable[RequestPath]) -> InLife | None:
    """The worst share of stale re-uses on the first link of any of these paths; None where none is possible.

    A request sent a gap g after the last response on its connection fails when a < g < b, with a = K − RTT
    and b = min(K + e, I). Where gaps are exponential with rate λ, that is P = exp(−λa) − exp(−λb). It is
    greatest at λ = ln(b/a) / (b − a), nearly 1/K, where it is nearly (b − a) / (2.718 · K). Traffic with a
    period near K does worse.
    """
    worst: InLife | None = None
    for path in paths:
        if len(path.hops) < 2:
            continue
        keep_alive = value_of(path.hops[1].settings.get(Role.SERVER_IDLE))
        idle = value_of(path.hops[0].settings.get(Role.UPSTREAM_POOL_IDLE))
        if keep_alive is None or idle is None or keep_alive <= _ROUND_TRIP:
            continue
        share = _worst(keep_alive - _ROUND_TRIP, min(keep_alive + _LATENCY, idle))
        if share > 0 and (worst is None or share > worst.share):
            worst = InLife(share, keep_alive, idle, _ROUND_TRIP, _LATENCY)
    return worst


def _worst(opens: Duration, closes: Duration) -> float:
    """The greatest share over all rates, for a window; `opens` is positive."""
    if closes <= opens or opens <= ZERO:
        return 0.0
    rate = math.log(closes.us / opens.us) / (closes - opens).us
    return math.exp(-rate * opens.us) - math.exp(-rate * closes.us)
