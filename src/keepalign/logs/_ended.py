"""Requests of one target that ended at one instant: its end, that of a process of it, or the end of its
drain.

What tells them apart: whether the target came back; whether it had got no new requests for a while before, as
when it drains (no young request among those cut, and too few answers in its last minutes); and whether it
took no connections before or after: a server that is stopped refuses them, one that is only drained never
does. Each of it makes some explanations likelier by about so many natural logarithms; the sum decides. The
weights are estimates, checked on incidents of real servers (`bench/attribution`, the split `tune`).
"""

from __future__ import annotations

from functools import cached_property
from math import log
from typing import Final

from keepalign.logs import causes
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, shown
from keepalign.logs.context import Context, Ending
from keepalign.logs.context.endings import QUICK_MOST
from keepalign.units import Duration

DRAIN_SLACK: Final = Duration.of(s=2)
"""Between a deregistration, as others date it, and the balancer's own."""
ROUTING_LAG: Final = Duration.of(s=15)
"""For so long a node may go on sending to a target after its deregistration (aws-load-balancer-controller
issues 905 and 1719)."""
STOP_DEFAULT: Final = Duration.of(s=30)
"""ECS stopTimeout where nobody set it."""
_SHORT_DELAY: Final = Duration.of(s=5)
"""A delay below this hardly lets anything end."""
LONG_US: Final = 1_000_000
"""Delays and stop timeouts are set in seconds: younger requests had not been waited for."""
_SOON_US: Final = 20_000_000
"""In which a target that is gone is tried again: the lag of routing, and some more."""
_CLEAR_US: Final = 2_000_000
"""How well the first request of a new target can be dated by the number of its answers."""
_MOST: Final = 3.0
"""No single observation counts for more: none of them is sure."""
_NEVER: Final = 9.0
_SHORT: Final = 1.2
"""What a delay of few seconds has against it: the default is 300 s, and guides lower it to 30 or so."""
_YOUNG: Final = 4.0
"""What a young request tells against a stop timeout: a server that is stopping takes no new ones, but on
connections that it keeps."""
_SURELY_BEFORE_US: Final = 200_000
"""A refusal so long before the end did not come from it."""
_CLEARLY: Final = 0.9
"""So far ahead the likeliest explanation is more than twice as likely as the next."""
_AGE: Final = 0.6
"""Of what the ages of requests say: they come in bunches, so that no young one is less of a wonder."""
_SHARED: Final = 0.7
"""Of what the other endings of a window say: what takes targets out is mostly one thing."""
_RARITY: Final = {causes.DRAIN: 0.0, causes.STOP: -1.0, causes.NO_GRACE: -1.0, causes.CLOSED: 0.0}
"""Before anything is known: a stop from outside is rarer than a deployment or a crash."""
_ENDED: Final = "target_status_code - and response_processing_time -1: the connection ended without an answer"
_TOGETHER: Final = "requests of other targets ended in the same instant: a timer of the balancer"
_ENDS: Final = (causes.DRAIN, causes.NO_GRACE, causes.STOP)


class Ends:
    """Judges the endings of one window; each of them once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._weighed: dict[Ending, tuple[dict[str, float], list[str]]] = {}

    @cached_property
    def _pool(self) -> dict[Ending, None]:
        """Endings after which the target was not seen again: what takes targets out is mostly one thing."""
        context = self._context
        return {
            ending: None
            for ending in [context.series.get(one, one) for one in context.endings]
            if (context.one_event(ending) or ending.youngest_us >= LONG_US)
            and not context.lives.returned(ending.target, ending.at_us)
            and context.lives.left(ending.target, ending.at_us)
        }

    @cached_property
    def _youngest(self) -> int:
        """Of requests that ended while their server was there; after a stop timeout none would be young."""
        return min(
            (
                ending.youngest_us
                for ending in self._pool
                if ending.oldest_us >= LONG_US and not self._gone(ending)
            ),
            default=LONG_US,
        )

    @cached_property
    def _shared(self) -> dict[bool, dict[str, float]]:
        """What all of them say together, those after which the target was gone apart."""
        sums = {gone: dict.fromkeys(_RARITY, 0.0) for gone in (False, True)}
        for ending in self._pool:
            into = sums[self._gone(ending)]
            for cause, weight in _clipped(self._weights(ending)[0]).items():
                into[cause] += weight
        return sums

    def _gone(self, ending: Ending) -> bool:
        """Whether the target took no connections afterwards: then it is another kind of end."""
        lives, at_us = self._context.lives, ending.at_us
        return lives.refused(ending.target, at_us - 20_000, at_us + _SOON_US) > 0

    def opinion(self, ending: Ending) -> Opinion:
        """For endings that are one event, or the last of their target."""
        context = self._context
        ending = context.series.get(ending, ending)
        evidence = [_ENDED, _together(ending)]
        since = context.removed_since(ending.target, ending.at_us, DRAIN_SLACK)
        if since is not None and (known := self.taken_out(since, ending, evidence)):
            return known
        if context.lives.returned(ending.target, ending.at_us):
            evidence.append(f"{ending.target} answered again later: a process of it died, the target stayed")
            sure = HIGH if ending.waits_us[-2:-1] > (QUICK_MOST.us,) else MEDIUM
            return Opinion(causes.CLOSED, sure, tuple(evidence), (causes.WORKER, causes.KEEP_ALIVE))
        return self._likeliest(ending, evidence, taken=False)

    def taken_out(self, since: int, ending: Ending, evidence: list[str]) -> Opinion | None:
        """A deployment that is known took this target out `since` microseconds before."""
        context = self._context
        timers = context.window.timers
        delay, stop, graceful = timers.deregistration_delay, timers.stop_timeout, timers.graceful
        fits = []
        if delay is not None:
            text = f"the deregistration delay is {delay}"
            fits.append((abs(since - delay.us), causes.DRAIN, text))
        if stop is not None and graceful is not False:
            text = f"the stop timeout is {stop}: it was stopped when it was deregistered, and killed then"
            fits.append((abs(since - stop.us), causes.STOP, text))
        if graceful is not True:
            text = "its requests ended as it was stopped"
            fits.append((since, causes.NO_GRACE, text))
        fits = sorted(fit for fit in fits if fit[0] <= DRAIN_SLACK.us)
        if delay is None and graceful is None and all(cause == causes.NO_GRACE for _, cause, _ in fits):
            # A delay of nothing would end them as soon.
            fits = []
        told = f"{ending.target} was deregistered {shown(since)} before"
        if fits:
            # Where two limits lie together: what the target refused before tells whether it was stopped.
            alike = [fit for fit in fits if fit[0] <= fits[0][0] + DRAIN_SLACK.us]
            chosen = fits[0]
            stopped = [fit for fit in alike if fit[1] == causes.STOP]
            if len(alike) > 1 and stopped:
                refused = context.lives.refused(ending.target, ending.at_us - since, ending.at_us)
                chosen = stopped[0] if refused else next(fit for fit in fits if fit[1] != causes.STOP)
            sure = HIGH if len(alike) == 1 else MEDIUM
            if chosen[1] == causes.STOP and delay is not None and 0 <= since - delay.us <= ROUTING_LAG.us:
                # A node that was told late of the deregistration drains as much later.
                sure = MEDIUM
                if _others_too(ending, context):
                    chosen = 0, causes.DRAIN, f"the deregistration delay is {delay}, and {_TOGETHER}"
            others = tuple(cause for cause in (*_ENDS, causes.CLOSED) if cause != chosen[1])
            return Opinion(chosen[1], sure, (*evidence, told, chosen[2]), others)
        if delay is not None and since > delay.us:
            return None
        evidence.append(told)
        if delay is None:
            return self._likeliest(ending, evidence, taken=True)
        evidence.append(f"the deregistration delay of {delay} was not over: the target stopped on its own")
        if graceful is None and abs(since - STOP_DEFAULT.us) <= DRAIN_SLACK.us:
            evidence.append(f"{STOP_DEFAULT} is the stop timeout of ECS where none is set")
            return Opinion(causes.STOP, MEDIUM, tuple(evidence), (causes.NO_GRACE, causes.CLOSED))
        if graceful and stop is None:
            return Opinion(causes.STOP, MEDIUM, tuple(evidence), (causes.NO_GRACE, causes.CLOSED))
        if graceful:
            return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (causes.NO_GRACE, causes.STOP))
        return self._likeliest(ending, evidence, taken=True, drained=False)

    def _likeliest(
        self, ending: Ending, evidence: list[str], *, taken: bool, drained: bool = True
    ) -> Opinion:
        """Without a feed, or with too few timers.

        Args:
            taken: a deployment is known to have taken the target out. drained: its drain may have ended.
        """
        own, told = self._weights(ending)
        weights = {cause: weight + _RARITY[cause] for cause, weight in own.items()}
        if min(ending.youngest_us, self._youngest) < LONG_US <= ending.youngest_us:
            weights[causes.STOP] -= _MOST
        shared = self._shared[self._gone(ending)]
        mine = _clipped(own) if ending in self._pool else {}
        for cause in weights:
            weights[cause] += _SHARED * (shared[cause] - mine.get(cause, 0.0))
        if taken:
            weights[causes.CLOSED] -= _MOST
        if not drained:
            weights[causes.DRAIN] -= 2 * _NEVER
        ordered = sorted(weights, key=lambda cause: (-weights[cause], cause))
        ahead = weights[ordered[0]] - weights[ordered[1]]
        others = tuple(cause for cause in ordered[1:] if weights[ordered[0]] - weights[cause] < _NEVER / 2)
        if ordered[0] == causes.DRAIN and (fitted := self._fitted):
            told = [*told, fitted]
        return Opinion(
            ordered[0], MEDIUM if ahead >= _CLEARLY else LOW, (*evidence, *told), others or (ordered[1],)
        )

    @cached_property
    def _fitted(self) -> str:
        """The deregistration delay as several targets show it: no request that is cut can be younger."""
        ages = [ending.youngest_us for ending in self._pool]
        if len({ending.target for ending in self._pool}) < 2 or min(ages) < LONG_US:
            return ""
        return (
            f"{len(ages)} targets ended so, none with a request younger than {shown(min(ages))}: the"
            " deregistration delay is about that, or up to 15 s more"
        )

    def _weights(self, ending: Ending) -> tuple[dict[str, float], list[str]]:
        if ending not in self._weighed:
            self._weighed[ending] = _weigh(ending, self._context)
        return self._weighed[ending]


def _clipped(weights: dict[str, float]) -> dict[str, float]:
    return {cause: max(-4.0, min(_MOST, weight)) for cause, weight in weights.items()}


def _together(ending: Ending) -> str:
    youngest, oldest = ending.youngest_us, ending.oldest_us
    if ending.span_us:
        return (
            f"{len(ending.places)} requests of {ending.target} ended in groups within"
            f" {shown(ending.span_us)}, and then nothing came from it: the processes of its server ended one"
            " after another"
        )
    if len(ending.places) == 1:
        return f"target_processing_time {shown(youngest)}: the target had begun to work"
    return (
        f"{len(ending.places)} requests of {ending.target} ended within 40 ms, after {shown(youngest)} to"
        f" {shown(oldest)} of work: one event ended them"
    )


def _weigh(ending: Ending, context: Context) -> tuple[dict[str, float], list[str]]:
    lives, target, at_us = context.lives, ending.target, ending.at_us
    weights = dict.fromkeys(_RARITY, 0.0)
    evidence: list[str] = []
    left = lives.left(target, at_us)
    if left:
        evidence.append(f"nothing came from {target} any more, while others went on: it was taken out")
        weights[causes.CLOSED] -= 0.7
    elif context.window.complete:
        weights[causes.CLOSED] += 1.0
    _add_drained(ending, context, weights, evidence)
    if ending.span_us:
        weights[causes.NO_GRACE] += _MOST
        for other in (causes.DRAIN, causes.STOP, causes.CLOSED):
            weights[other] -= _MOST
    else:
        _add_refusals(ending, context, weights, evidence, left=left)
    if left:
        _add_others(ending, context, weights, evidence)
    _add_timers(ending, context, weights, evidence)
    if checks := context.health(target, at_us):
        weights[causes.CLOSED] += 2.0
        evidence.append(checks)
    return weights, evidence


def _add_drained(ending: Ending, context: Context, weights: dict[str, float], evidence: list[str]) -> None:
    """Whether the target had got no new request for as long as the youngest of these ran."""
    youngest, oldest, number = ending.youngest_us, ending.oldest_us, len(ending.waits_us)
    if youngest < LONG_US:
        weights[causes.DRAIN] -= _SHORT
        if not _stops_soon(context):
            weights[causes.STOP] -= _YOUNG
        return
    share = youngest / max(oldest, 1)
    age = min(_MOST, -_AGE * (number - 1) * log(max(1 - share, 1e-9))) if number > 1 else 0.0
    quiet = max(-_MOST, min(_MOST, context.lives.quiet(ending.target, ending.at_us, youngest)))
    # Most applications have many short requests: several long ones and no short one are no chance.
    score = age + quiet + (0.7 if number >= 3 and not context.window.complete else 0.0)
    # A short delay cuts whatever runs, so that neither tells against it.
    weights[causes.DRAIN] += max(score, -_SHORT)
    weights[causes.STOP] += score
    if score >= 1 and number > 1:
        evidence.append("no young request among them: the target had got none for a while, as when it drains")
    if quiet >= 1:
        evidence.append(
            f"its answers in its last minutes are as few as if its requests had stopped {shown(youngest)}"
            " before"
        )
    elif quiet <= -1:
        evidence.append("its answers in its last minutes are as many as if it had got requests to the end")


def _stops_soon(context: Context) -> bool:
    """Whether a target that is stopped is killed while the balancer may still send to it."""
    stop = context.window.timers.stop_timeout
    return stop is not None and stop <= ROUTING_LAG


def _add_refusals(
    ending: Ending, context: Context, weights: dict[str, float], evidence: list[str], *, left: bool
) -> None:
    """A server that is stopped takes no connections; the balancer may try for some seconds.

    After a deregistration it tries for ROUTING_LAG at most; a target that crashed has to be found out first.
    """
    lives, target, at_us = context.lives, ending.target, ending.at_us
    before = max(ending.youngest_us, _SOON_US)
    since = lives.refusing_since(target, at_us - before, at_us - _SURELY_BEFORE_US)
    if since is not None and ending.oldest_us > LONG_US:
        weights[causes.STOP] += 2.0 if ending.youngest_us > LONG_US else 2.0 + _YOUNG
        weights[causes.DRAIN] -= 4.0
        weights[causes.NO_GRACE] -= _MOST
        weights[causes.CLOSED] -= _MOST
        evidence.append("it took no connections any more while these still ran: its server was stopping")
        return
    lasted = lives.refused_for(target, at_us - 20_000, at_us + 3 * _SOON_US)
    if lasted is not None:
        weights[causes.DRAIN] -= 4.0
        weights[causes.STOP] -= 0.0 if _stops_soon(context) else 1.5
        if lasted > ROUTING_LAG.us:
            weights[causes.CLOSED] += 2.0
        elif lasted > ROUTING_LAG.us // 2:
            weights[causes.CLOSED] += 0.5
        elif left:
            weights[causes.NO_GRACE] += 0.7
        evidence.append(
            f"it took no connections afterwards, for {shown(lasted)} at least: its server was gone"
        )
        return
    if not left:
        return
    would_be = min(_MOST, lives.expected(target, at_us, _SOON_US // 4))
    weights[causes.CLOSED] -= would_be
    weights[causes.NO_GRACE] -= would_be / 6
    if would_be >= 1:
        evidence.append("it refused nothing afterwards: the balancer had ceased to send to it")


def _others_too(ending: Ending, context: Context) -> bool:
    return any(other.target != ending.target for other in context.endings_near(ending.at_us))


def _add_others(ending: Ending, context: Context, weights: dict[str, float], evidence: list[str]) -> None:
    """What other targets did about then: a deployment adds targets before it takes some out, all together;
    a task that was stopped is replaced afterwards."""
    at_us = ending.at_us
    if _others_too(ending, context):
        weights[causes.DRAIN] += _MOST
        weights[causes.CLOSED] -= _MOST
        evidence.append(_TOGETHER)
    quiet_from = at_us - ending.youngest_us if ending.youngest_us >= LONG_US else at_us
    if context.lives.replaced_before(ending.target, quiet_from - _CLEAR_US):
        weights[causes.DRAIN] += 1.5
        evidence.append("a new target had appeared before, as in a deployment")
    elif context.lives.newcomers(quiet_from, quiet_from + 3 * _SOON_US):
        weights[causes.DRAIN] -= 1.0
        evidence.append("a new target appeared afterwards, as when a task that was lost is replaced")
    else:
        weights[causes.DRAIN] += 0.7


def _add_timers(ending: Ending, context: Context, weights: dict[str, float], evidence: list[str]) -> None:
    timers, youngest = context.window.timers, ending.youngest_us
    delay, stop = timers.deregistration_delay, timers.stop_timeout
    if delay is not None and youngest < delay.us - ROUTING_LAG.us:
        weights[causes.DRAIN] -= _NEVER
        evidence.append(f"the youngest is younger than a drain of {delay} allows")
    elif delay is not None:
        # A short delay cuts whatever runs at each deployment, young and old; in between anything fits.
        weights[causes.DRAIN] += 2.0 if delay > ROUTING_LAG else 1.5 if delay < _SHORT_DELAY else 0.7
        evidence.append(f"a deregistration delay of {delay} fits")
    if stop is not None and youngest < stop.us - ROUTING_LAG.us:
        weights[causes.STOP] -= _NEVER
    if timers.graceful is False:
        weights[causes.STOP] -= _NEVER
        weights[causes.NO_GRACE] += 2.0
        evidence.append("its server does not finish its requests after the stop signal, as stated")
    elif timers.graceful is True:
        weights[causes.NO_GRACE] -= _NEVER
        # What is stopped with a limit that is known to be short is killed at it.
        weights[causes.STOP] += 2.0 if stop is not None and delay is not None and stop < delay else 0.0
    if context.removed_later(ending.target, ending.at_us + DRAIN_SLACK.us):
        for cause in _ENDS:
            weights[cause] -= 2 * _MOST
        evidence.append("it was taken out only afterwards")
    elif context.names_removals and context.removed_since(ending.target, ending.at_us, DRAIN_SLACK) is None:
        for cause in _ENDS:
            weights[cause] -= 3.0
        evidence.append("no deployment that is known took it out")
