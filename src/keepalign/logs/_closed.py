"""The hardest part of the judge: a 502 for a connection that ended with a request outstanding.

One line of these looks like another. What tells them apart is how long the target had the request, and
whether other requests of the same target ended in the same instant: a stale connection fails one request at a
time over all targets, a process that ends takes all of its requests with it, old and young (`_ended`); and an
answer that breaks HTTP does so on one path, on every target.
"""

from __future__ import annotations

from typing import Final

from keepalign.logs import causes
from keepalign.logs._ended import DRAIN_SLACK, LONG_US, Ends
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, shown
from keepalign.logs.context import Context, Ending, PathCluster, Seen, whole_seconds_us
from keepalign.logs.context.endings import MANY, QUICK_MOST, stands_out
from keepalign.logs.context.limits import ALIKE, WORKER_SPREAD
from keepalign.logs.context.lives import AFTERWARDS, TOGETHER
from keepalign.units import Duration

STALE_SURELY: Final = Duration.of(ms=10)
"""Nothing but a connection that was already closing ends so soon in number (uNetworking/uWebSockets.js issue
939: 0 to 1 ms in hundreds of lines)."""
THIN: Final = Duration.of(s=5)
"""Less than this between keep-alive and idle timeout is a thin margin, as in the rules."""
_ROUND_TRIPS: Final = Duration.of(ms=2)
"""Two of them between availability zones: an answer that comes sooner than a stale re-use is none."""
GONE: Final = Duration.of(s=3)
"""A process that ended right now refuses within this, if it is asked."""
_ENDED: Final = "target_status_code - and response_processing_time -1: the connection ended without an answer"
_NO_WORK_US: Final = 1_000
"""Less than any answer over a network takes (uWebSockets.js issue 939: the stale ones did not)."""
_EARLY_US: Final = 20_000
"""By so much a timer of another process may be seen to strike early (lab runs)."""


class Closed:
    """Judges the closed rows of one window; what an event ended gets one opinion for all of its rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ends = Ends(context)
        self._events: dict[int, Opinion | None] = {}
        self._verdicts: dict[str, bool] = {}

    def opinion(self, one: Seen, place: int) -> Opinion:
        """For a row of the shape CLOSED."""
        context = self._context
        ending = context.ending_of[place]
        if (cluster := self._refused_answers(ending)) is not None and not self._timer(place):
            return _malformed(cluster, one)
        event = self._event(ending)
        if event is not None:
            return event
        wait = one.wait_us
        if wait < 0:
            text = "target_processing_time -1 and no request_creation_time: how long it took is unknown"
            return Opinion(causes.UNEXPLAINED, LOW, (_ENDED, text), (causes.KEEP_ALIVE, causes.CLOSED))
        if wait <= context.quick_us or (wait < LONG_US and self._late(ending)):
            return _quick(one, ending, context)
        return _slow(one, place, context)

    def _event(self, ending: Ending) -> Opinion | None:
        """What ended the target or its process; None where it is a matter of the single request."""
        key = ending.places[0]
        if key not in self._events:
            self._events[key] = self._judge(ending)
        return self._events[key]

    def _judge(self, ending: Ending) -> Opinion | None:
        context = self._context
        if 2 <= len(ending.places) <= MANY and ending.oldest_us < LONG_US and self._late(ending):
            # Some that one stall of the balancer's kept waiting; a crash would end older ones too.
            gone = context.lives.refused(ending.target, ending.at_us - LONG_US, ending.at_us + GONE.us)
            if not gone and context.lives.returned(ending.target, ending.at_us, TOGETHER):
                return None
        if context.at_limit(ending) and (self._timer(ending.places[0]) or self._at_stated(ending)):
            return None
        if context.one_event(ending) or ending in context.series:
            return self._ends.opinion(ending)
        if not ending.waits_us:
            return None
        since = context.removed_since(ending.target, ending.at_us, DRAIN_SLACK)
        quick = ending.oldest_us <= context.quick_us
        if since is not None and (not quick or since <= DRAIN_SLACK.us):
            found = self._ends.taken_out(since, ending, [_ENDED])
            if found is not None and (found.confidence is HIGH or not quick):
                return found
        lives, at_us = context.lives, ending.at_us
        began = at_us - min(ending.oldest_us, QUICK_MOST.us)
        if (
            (quick or len(ending.places) > 1)
            and lives.refused(ending.target, began - 10_000, at_us + GONE.us)
            and not lives.refused(ending.target, at_us - AFTERWARDS.us, began - 20_000)
        ):
            return self._ends.opinion(ending)
        if quick:
            return None
        if self._timer(ending.places[0]):
            return None
        if lives.left(ending.target, at_us) and ending.youngest_us >= LONG_US:
            return self._ends.opinion(ending)
        return None

    def _late(self, ending: Ending) -> bool:
        """Whether it is a stale re-use that a busy machine told late of, rather than work that was ended.

        Where the timers allow stale re-use, or it shows in number, a single close within a second is more
        likely one of them; but not on a path whose closes all took their time.
        """
        return self._context.stale_late and not self._context.took_time(ending)

    def _at_stated(self, ending: Ending) -> bool:
        """Whether its requests ran as long as workers may, as stated."""
        limit = self._context.window.timers.worker_timeout
        return (
            limit is not None and _at_limit(ending.youngest_us, limit) and _at_limit(ending.oldest_us, limit)
        )

    def _timer(self, place: int) -> bool:
        constant = self._context.constants.get(place)
        return constant is not None and constant.size >= MANY and constant.shows_timer

    def _refused_answers(self, ending: Ending) -> PathCluster | None:
        """The kind of path of the ending's requests, if their answers are what the balancer refuses."""
        context = self._context
        found = None
        for place in ending.places:
            found = context.clusters.get(context.seen[place].path)
            if found is None or not self._malformed(found):
                return None
        if (
            len(ending.places) > 1
            and context.removed_since(ending.target, ending.at_us, DRAIN_SLACK) is not None
        ):
            return None
        return found

    def _malformed(self, cluster: PathCluster) -> bool:
        """Whether the answers to one kind of path are what the balancer refuses.

        It refuses them on every target, and nothing else ends with them; a request that kills its process
        takes others along.
        """
        if cluster.path not in self._verdicts:
            self._verdicts[cluster.path] = self._breaks_http(cluster)
        return self._verdicts[cluster.path]

    def _breaks_http(self, cluster: PathCluster) -> bool:
        context = self._context
        if cluster.alone <= MANY or cluster.alone * 5 < cluster.endings * 4:
            return False
        if cluster.joined * 8 > cluster.endings or (not context.window.complete and cluster.alone < 3 * MANY):
            return False
        if cluster.targets < 2 and len(context.lives.of) > 1 and cluster.number < 3 * MANY:
            return False
        enough = cluster.alone >= 2 * MANY
        timers, idle = context.window.timers, context.idle
        if timers.keep_alive is not None and idle is not None and timers.keep_alive > idle.value + THIN:
            return True
        if cluster.low_us > context.worked_us:
            return enough or (cluster.high_us < LONG_US and not context.stale_stated)
        if context.stale_stated:
            return False
        if cluster.low_us > STALE_SURELY.us and cluster.low_us * 5 > cluster.median_us * 3:
            return enough
        return enough and cluster.median_us > _ROUND_TRIPS.us and stands_out(cluster, context.clusters)


def _malformed(cluster: PathCluster, one: Seen) -> Opinion:
    evidence = (
        _ENDED,
        f"target_processing_time {shown(one.wait_us)}",
        _such_lines(cluster),
    )
    return Opinion(causes.MALFORMED, MEDIUM, evidence, (causes.CLOSED, causes.KEEP_ALIVE))


def _such_lines(cluster: PathCluster) -> str:
    return (
        f"{cluster.number} such lines of one kind of path on {cluster.targets} targets, at {cluster.endings}"
        " instants, and hardly ever did another request end with one: the answer is what the balancer refuses"
    )


def _quick(one: Seen, ending: Ending, context: Context) -> Opinion:
    """The connection ended as soon as the request was sent."""
    wait = one.wait_us
    late = wait > context.quick_us
    told = "a stale re-use told late of, as by a busy machine" if late else "it ended before any work"
    evidence = [_ENDED, f"target_processing_time {shown(wait)}: {told}"]
    if context.quick_us != ALIKE.us:
        evidence.append(f"closes of this target group are quick up to {shown(context.quick_us)}, then a gap")
    timers = context.window.timers
    idle, keep_alive = context.idle, timers.keep_alive
    others = (causes.CLOSED, causes.MALFORMED, causes.MARGIN_THIN, causes.PROXY_IDLE)
    if keep_alive is not None and idle is not None:
        if idle.value < keep_alive <= idle.value + THIN:
            evidence.append(
                f"the stated keep-alive of {keep_alive} is longer than the idle timeout of {idle.value}, but"
                f" only by {keep_alive - idle.value}"
            )
            return Opinion(causes.MARGIN_THIN, MEDIUM, tuple(evidence), others)
        if keep_alive > idle.value:
            evidence.append(
                f"but the stated keep-alive of {keep_alive} is longer than the idle timeout of {idle.value}:"
                " no idle connection can be closed by the target first"
            )
            return Opinion(causes.CLOSED, LOW, tuple(evidence), (causes.MALFORMED, causes.KEEP_ALIVE))
        evidence.append(
            f"keep-alive {keep_alive} of the target is not above the balancer's idle timeout {idle.value}"
        )
        left = () if wait <= STALE_SURELY.us else others
        return Opinion(causes.KEEP_ALIVE, MEDIUM if late else HIGH, tuple(evidence), left)
    if len(ending.places) > 1:
        evidence.append(f"{len(ending.places)} such requests of the target ended within 40 ms")
        if context.quick_instants < MANY:
            return Opinion(causes.KEEP_ALIVE, LOW, tuple(evidence), others)
        evidence.append(f"and so at {context.quick_instants} instants; a crash would end older requests too")
        return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), others)
    if context.quick >= MANY:
        over = f" over {context.quick_targets} targets" if context.quick_targets > 1 else ""
        evidence.append(f"one of {context.quick} such lines{over}, one at a time: stale connections fail so")
        # Stale connections fail on any path; on one alone its answers may be at fault, if any is so fast.
        sure = HIGH if wait <= (STALE_SURELY.us if context.quick_paths > 1 else _NO_WORK_US) else MEDIUM
        return Opinion(causes.KEEP_ALIVE, sure, tuple(evidence), others)
    return Opinion(causes.KEEP_ALIVE, MEDIUM, tuple(evidence), others)


def _at_limit(wait_us: int, limit: Duration) -> bool:
    return -_EARLY_US <= wait_us - limit.us <= WORKER_SPREAD.us


def _slow(one: Seen, place: int, context: Context) -> Opinion:
    """The target had the request for a while."""
    wait = one.wait_us
    evidence = [_ENDED, f"target_processing_time {shown(wait)}: the target had begun to work"]
    stated = context.window.timers.worker_timeout
    if stated is not None and _at_limit(wait, stated):
        evidence.append(f"the worker's limit is {stated}, as stated")
        return Opinion(causes.WORKER, HIGH, tuple(evidence), (causes.CLOSED,))
    constant = context.constants.get(place)
    if constant is not None and constant.size >= MANY and constant.shows_timer:
        evidence.append(
            f"{constant.size} of {constant.among} such closes came after {shown(constant.least_us)} to"
            f" {shown(constant.most_us)}: a timer in the target"
        )
        if constant.sharp:
            return Opinion(causes.APP_IDLE, MEDIUM, tuple(evidence), (causes.WORKER, causes.CLOSED))
        return Opinion(causes.WORKER, MEDIUM, tuple(evidence), (causes.APP_IDLE, causes.CLOSED))
    ends: tuple[str, ...] = (causes.DRAIN, causes.STOP, causes.NO_GRACE)
    if context.lives.returned(one.target, one.at_us):
        evidence.append(f"{one.target} answered again later: it was not taken out")
        ends = ()
    if health := context.health(one.target, one.at_us):
        evidence.append(health)
    if wait < LONG_US:
        return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (causes.KEEP_ALIVE, causes.MALFORMED, *ends))
    limit = (causes.WORKER, causes.APP_IDLE) if whole_seconds_us(wait) is not None else (causes.WORKER,)
    return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (*limit, *ends, causes.MALFORMED))
