"""A row and what its servers say of it → the cause, where they decide.

A server's own line outweighs what can be concluded from the balancer's times. Absence is evidence too, where
`joined` found that the log should have the request: a connection that was closing takes a request that no
server ever sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keepalign.logs import causes
from keepalign.logs._opinion import HIGH, MEDIUM, Opinion, s
from keepalign.logs.context import ALIKE, CONNECT_LIMIT, LATE, LONG, silent, waited, was_closed
from keepalign.logs.witness.joined import SLACK
from keepalign.model.observation import CLIENT_CLOSED, LogRow, Saw, Testimony
from keepalign.units import ZERO, Duration

AT_THE_STOP: Final = Duration.of(s=3)
"""What ends within this of a stop signal was ended by it; later, by what follows the signal."""
_STALE: Final = Duration.of(ms=10)
"""Nothing but a closing connection ends so soon in number (uNetworking/uWebSockets.js issue 939)."""
_KILLED: Final = Duration.of(s=3)
_TOLD_LATE: Final = Duration.of(s=2)
"""httpd looks after its children once a second (ap_wait_or_timeout)."""
_ENDS_LATE: Final = Duration.of(s=1)
_QUEUED: Final = Duration.of(s=2)
"""A server that takes a request up so much later had no worker free; lines are dated in seconds."""
_OWN: Final = frozenset({"gunicorn", "uvicorn"})
"""Servers that run the application itself."""


def heard(row: LogRow, testimonies: Sequence[Testimony]) -> Opinion | None:
    """The cause that testimonies decide for, with the lines that say so; None: they do not decide.

    Args:
        testimonies: of this row, as `joined.join` gives them.
    """
    if not testimonies:
        return None
    said = _Said(row, testimonies)
    if row.elb_status == CLIENT_CLOSED:
        return _client_left(said)
    if row.target_status is not None:
        return _target_made(said) if row.target_status >= 500 else None
    match row.elb_status:
        case 502 if was_closed(row):
            return _closed(said)
        case 502 if row.target is not None:
            return _not_connected(said)
        case 504:
            return _gave_up(said)
        case 503 if row.target is None:
            return _no_target(said)
        case _:
            return None


class _Said:
    """What is said of one row, by kind."""

    def __init__(self, row: LogRow, testimonies: Sequence[Testimony]) -> None:
        self.row = row
        self._by_kind: dict[Saw, list[Testimony]] = {}
        for one in testimonies:
            self._by_kind.setdefault(one.saw, []).append(one)

    def get(self, saw: Saw, within: Duration | None = None) -> Testimony | None:
        """The nearest line of the kind, at most so long before or after the row."""
        for one in self._by_kind.get(saw, ()):
            if within is None or abs(self.row.time - one.at) <= within + one.precision:
                return one
        return None

    def before(self, saw: Saw, *, beside: str = "") -> tuple[Testimony, Duration] | None:
        """The nearest line of the kind that came before the row's end, and how long before.

        Args:
            beside: not of this server.
        """
        for one in self._by_kind.get(saw, ()):
            since = self.row.time - one.at
            if since >= -SLACK and one.server != beside:
                return one, max(ZERO, since)
        return None

    def crashed(self, *, beside: str = "") -> Testimony | None:
        """A process whose end may have been the row's; as `before`."""
        for one in self._by_kind.get(Saw.CRASHED, ()):
            told_late = _TOLD_LATE if one.server == "apache" else SLACK
            while_ending = one.at + -told_late <= self.row.time <= one.at + one.precision + SLACK
            if while_ending and one.server != beside:
                return one
        return None

    def quote(self, one: Testimony) -> str:
        """As evidence: where it stands, when, and its words."""
        apart = self.row.time - one.at
        precision = one.precision
        if -precision <= apart <= precision:
            when = "at that time"
        else:
            when = f"{s(abs(apart))} {'before' if apart > ZERO else 'after'}"
        clock = ""
        if one.skew:
            clock = f" (its clock is {s(abs(one.skew))} {'ahead' if one.skew > ZERO else 'behind'})"
        return f"{one.file}:{one.line}, {when}{clock}: {one.text}"

    def absent(self) -> str | None:
        """The sentence for a request that the target's access log should have, and has not."""
        one = self.get(Saw.COVERED)
        if one is None:
            return None
        return (
            f"{one.file} goes on before and after and has no line for the request: {one.server} never saw it"
        )


def _sure(one: Testimony) -> bool:
    """Whether an event is known to be of the row's target."""
    return one.target is not None


def _client_left(said: _Said) -> Opinion | None:
    if left := said.get(Saw.CLIENT_LEFT):
        return Opinion(causes.CLIENT, HIGH, (said.quote(left),))
    if (answer := said.get(Saw.ANSWERED)) and answer.took is not None:
        text = f"{said.quote(answer)}: the answer would have come after {s(answer.took)}"
        return Opinion(causes.CLIENT, HIGH, (text,))
    return None


def _target_made(said: _Said) -> Opinion | None:
    """The target answered 5xx itself: was it the application, or a proxy that lost it?"""
    row = said.row
    wait = waited(row)
    if timed_out := said.get(Saw.BACKEND_TIMED_OUT):
        return Opinion(causes.PROXY_READ, HIGH, (said.quote(timed_out),))
    if malformed := said.get(Saw.BACKEND_MALFORMED):
        return Opinion(causes.MALFORMED, HIGH, (said.quote(malformed),))
    if (wait is None or wait >= LONG) and (killed := _worker_killed(said)):
        return killed
    if closed := said.get(Saw.BACKEND_CLOSED):
        return _backend_closed(said, closed, wait)
    if refused := said.get(Saw.BACKEND_REFUSED):
        evidence = (said.quote(refused), "a proxy in the target could not reach its own server")
        return Opinion(causes.GENERATED, HIGH, evidence)
    if row.target_status == 503 and (full := said.get(Saw.SATURATED, _KILLED)):
        return Opinion(causes.GENERATED, MEDIUM, (said.quote(full),), _starved(full))
    answer = said.get(Saw.ANSWERED)
    if answer is not None and answer.server in _OWN:
        return Opinion(causes.GENERATED, HIGH, (said.quote(answer), "the application's server says it too"))
    return None


def _worker_killed(said: _Said) -> Opinion | None:
    killed = said.get(Saw.WORKER_KILLED, _KILLED)
    if killed is None:
        return None
    others = () if _sure(killed) else (causes.CLOSED,)
    return Opinion(causes.WORKER, HIGH if _sure(killed) else MEDIUM, (said.quote(killed),), others)


def _backend_closed(said: _Said, closed: Testimony, wait: Duration | None) -> Opinion:
    """A proxy lost its own server before the answer: by a stale pooled connection, or by its end."""
    evidence = [said.quote(closed)]
    if crashed := said.crashed(beside=closed.server):
        return Opinion(causes.CLOSED, HIGH, (*evidence, said.quote(crashed)))
    stopping = said.before(Saw.STOPPING, beside=closed.server)
    if stopping is not None and stopping[1] <= AT_THE_STOP:
        return Opinion(causes.NO_GRACE, MEDIUM, (*evidence, said.quote(stopping[0])), (causes.CLOSED,))
    if wait is not None and wait <= ALIKE:
        evidence.append(f"target_processing_time {s(wait)}: a pooled connection that was just closing")
        sure = HIGH if wait <= _STALE else MEDIUM
        return Opinion(causes.PROXY_IDLE, sure, tuple(evidence), (causes.CLOSED, causes.GENERATED))
    evidence.append("the server behind the proxy ended the connection while it worked")
    return Opinion(causes.CLOSED, MEDIUM, tuple(evidence), (causes.WORKER, causes.APP_IDLE))


def _closed(said: _Said) -> Opinion | None:
    """502 for a connection that ended with the request outstanding."""
    wait = waited(said.row)
    quick = wait is not None and wait <= ALIKE
    if malformed := said.get(Saw.BACKEND_MALFORMED):
        return Opinion(causes.MALFORMED, HIGH, (said.quote(malformed),))
    if not quick and (killed := _worker_killed(said)):
        return killed
    if closed := said.get(Saw.BACKEND_CLOSED):
        # On a connection that was used before, httpd closes without an answer (mod_proxy_http).
        return _backend_closed(said, closed, wait)
    if crashed := said.crashed():
        sure = HIGH if _sure(crashed) and not quick else MEDIUM
        return Opinion(causes.CLOSED, sure, (said.quote(crashed),), (causes.KEEP_ALIVE,) if quick else ())
    if stopped := _stopped(said, wait, quick=quick):
        return stopped
    if left := said.get(Saw.CLIENT_LEFT):
        evidence = (said.quote(left), "for the target its client left: the balancer ended the connection")
        return Opinion(causes.DRAIN, MEDIUM, evidence, (causes.CLOSED,))
    answer = said.get(Saw.ANSWERED)
    if answer is not None and answer.status is not None and answer.status < 500:
        evidence = (said.quote(answer), "the server says that it answered; the balancer could not use it")
        return Opinion(causes.MALFORMED, MEDIUM, evidence, (causes.CLOSED,))
    if absent := said.absent():
        if quick:
            sure = HIGH if wait is not None and wait <= _STALE else MEDIUM
            return Opinion(causes.KEEP_ALIVE, sure, (absent,), (causes.CLOSED,))
        text = f"{absent}, or ended before it could say so"
        return Opinion(causes.CLOSED, MEDIUM, (text,), (causes.WORKER, causes.DRAIN))
    return None


def _stopped(said: _Said, wait: Duration | None, *, quick: bool) -> Opinion | None:
    """A stop signal before a cut."""
    found = said.before(Saw.STOPPING)
    if found is None:
        return None
    stop, since = found
    sure = HIGH if _sure(stop) else MEDIUM
    evidence = [said.quote(stop)]
    if since <= AT_THE_STOP:
        if quick:
            evidence.append("the connection ended before any work, as idle ones do when a server stops")
            return Opinion(causes.NO_PRESTOP, MEDIUM, tuple(evidence), (causes.NO_GRACE, causes.KEEP_ALIVE))
        evidence.append("the request was cut as the stop signal came")
        return Opinion(causes.NO_GRACE, sure, tuple(evidence), (causes.STOP,))
    if wait is not None and wait + AT_THE_STOP >= since:
        evidence.append(f"the server had {s(since)} to finish it, and was cut off then")
        return Opinion(causes.STOP, MEDIUM, tuple(evidence), (causes.NO_GRACE, causes.DRAIN))
    return None


def _not_connected(said: _Said) -> Opinion | None:
    """502 before a request could be sent."""
    if crashed := said.before(Saw.CRASHED):
        return Opinion(causes.REFUSED, HIGH if _sure(crashed[0]) else MEDIUM, (said.quote(crashed[0]),))
    if stopping := said.before(Saw.STOPPING):
        sure = HIGH if _sure(stopping[0]) else MEDIUM
        return Opinion(causes.REFUSED, sure, (said.quote(stopping[0]),), (causes.NO_PRESTOP,))
    started = said.get(Saw.STARTED)
    if started is not None and started.at >= said.row.time:
        evidence = (said.quote(started), "it was not listening yet")
        return Opinion(causes.REFUSED, HIGH if _sure(started) else MEDIUM, evidence)
    if absent := said.absent():
        return Opinion(causes.REFUSED, MEDIUM, (absent,), (causes.TLS,))
    return None


def _gave_up(said: _Said) -> Opinion | None:
    """504 of the balancer's own: silence, or no connection."""
    row = said.row
    silence = silent(row)
    full = said.get(Saw.SATURATED)
    if answer := said.get(Saw.ANSWERED):
        if (late := _taken_up_late(said, answer)) is not None:
            return late
        if answer.took is not None and silence is not None and answer.took + _ENDS_LATE >= silence:
            text = f"it answered {answer.status} after {s(answer.took)}; the balancer waited {s(silence)}"
            return Opinion(causes.LB_IDLE, HIGH, (said.quote(answer), text))
    if (left := said.get(Saw.CLIENT_LEFT)) and silence is not None:
        text = f"for the server its client left: the balancer gave up after {s(silence)}"
        return Opinion(causes.LB_IDLE, HIGH, (said.quote(left), text))
    absent = said.absent()
    if silence is None and row.elapsed is not None and CONNECT_LIMIT <= row.elapsed <= CONNECT_LIMIT + LATE:
        said_so = (*((absent,) if absent else ()), *((said.quote(full),) if full else ()))
        if said_so:
            return Opinion(causes.CONNECT_TIMEOUT, HIGH, said_so, _starved(full) if full else ())
        return None
    if full is not None and silence is not None:
        return Opinion(causes.LB_IDLE, MEDIUM, (said.quote(full),), _starved(full))
    if absent is not None and silence is not None:
        text = f"{absent}, or has not finished it"
        return Opinion(causes.LB_IDLE, MEDIUM, (text,), (causes.HELD_WORKERS, causes.SYNC_WORKER))
    return None


def _taken_up_late(said: _Said, answer: Testimony) -> Opinion | None:
    """The server began with the request long after the balancer had it: no worker was free."""
    row = said.row
    if row.created is None or answer.took is None or answer.trace is None:
        return None
    late = answer.at - (row.created + answer.took + (row.request_time or ZERO))
    if late < _QUEUED:
        return None
    text = f"the server took it up {s(late)} after the balancer had it: no worker was free until then"
    return Opinion(
        causes.HELD_WORKERS, MEDIUM, (said.quote(answer), text), (causes.SYNC_WORKER, causes.LB_IDLE)
    )


def _starved(full: Testimony) -> tuple[str, ...]:
    """Why a server may have no worker free, likelier first."""
    both = (causes.HELD_WORKERS, causes.SYNC_WORKER)
    return both[::-1] if full.server == "gunicorn" else both


def _no_target(said: _Said) -> Opinion | None:
    """503 for want of targets: what had ended them?"""
    found = said.before(Saw.CRASHED) or said.before(Saw.STOPPING)
    return None if found is None else Opinion(causes.NO_TARGETS, HIGH, (said.quote(found[0]),))
