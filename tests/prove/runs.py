"""Runs made by hand: what the balancer, the client and the lab would have recorded, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

from tests.lab import small_stack

from keepalign.join import Loaded
from keepalign.lab.experiment import Experiment, Run, UserTasks
from keepalign.lab.lag import Lags, Late
from keepalign.lab.scale import Scale
from keepalign.model.trace import (
    BalancerRecord,
    ClientFailure,
    ClientRecord,
    Ending,
    EventKind,
    Trace,
    TraceEvent,
)
from keepalign.units import Duration, Instant

TARGET: Final = "127.0.0.1:20001"
_roots = count(1)


def at(ms: float) -> Instant:
    """So many milliseconds into the run."""
    return Instant(0) + Duration.of(ms=ms)


def request(
    ending: Ending = Ending.RESPONSE,
    *,
    sent: float | None = 1000,
    took: float = 10,
    gap: float | None = None,
    first_byte: float | None = None,
    status: int = 200,
    target_status: int | None = None,
    headers_sent: bool = False,
    endpoint: str = "/quick",
    failure: ClientFailure = ClientFailure.NONE,
    target: str = TARGET,
) -> tuple[ClientRecord, BalancerRecord]:
    """One request as client and balancer saw it.

    Args:
        sent: to the target, None if it never was.
        took, first_byte: from then.
        gap: since the last response on its connection; None for a new one.
    """
    root = f"1-0-{next(_roots)}"
    began = sent if sent is not None else 1000
    record = BalancerRecord(
        trace_root=root,
        method="GET",
        path=endpoint,
        received=at(began),
        ended=at(began + took),
        ending=ending,
        status=status,
        target_status=target_status,
        target=target,
        reused=gap is not None,
        gap=Duration.of(ms=gap) if gap is not None else None,
        sent_to_target=at(sent) if sent is not None else None,
        first_byte=at(began + first_byte) if first_byte is not None else None,
        headers_sent=headers_sent,
    )
    client = ClientRecord(
        trace_root=root,
        endpoint=endpoint,
        intended=at(began),
        sent=at(began),
        ended=at(began + took),
        status=status or None,
        failure=failure,
    )
    return client, record


def deregistered(ms: float, target: str = TARGET) -> TraceEvent:
    """The deregistration of a target."""
    return TraceEvent(at(ms), EventKind.TARGET_DEREGISTERED, target)


def run(
    loaded: Loaded,
    requests: Sequence[tuple[ClientRecord, BalancerRecord | None]],
    *,
    name: str = "before",
    scale: int = 10,
    events: Sequence[TraceEvent] = (),
    late: Sequence[tuple[float, float]] = (),
) -> Run:
    """A run of these requests. `late`: when a timer was due and how late it was, in milliseconds."""
    target = loaded.targets[0]
    experiment = Experiment(
        name=name,
        tasks=UserTasks(target, loaded.sources, "", {}),
        paths=tuple(path for path in loaded.stack.paths if path.name in target.paths),
        workload=loaded.workload,
        scale=Scale(scale),
        schedule=(),
        happenings=(),
        seed=1,
    )
    return Run(
        experiment=experiment,
        trace=Trace(
            tuple(client for client, _ in requests),
            tuple(record for _, record in requests if record is not None),
            tuple(events),
        ),
        started=at(0),
        lags=Lags(Late(at(due), at(due + by)) for due, by in late),
        server_lags=Lags([]),
        logs={},
        access_log=(),
        diffs={},
    )


def stack(
    folder: Path, *, idle_s: int = 60, keep_alive_s: int = 5, timeout_s: int = 20, delay_s: int = 10
) -> Loaded:
    """The small stack with gunicorn, whose worker limit is 45 s, and one slow endpoint."""
    return small_stack.load(
        small_stack.write(
            folder,
            idle_s=idle_s,
            keep_alive_s=keep_alive_s,
            timeout_s=timeout_s,
            delay_s=delay_s,
            gunicorn='"--bind", ":8000", "--workers", "40", "--timeout", "45"',
            endpoints='[{ path = "/quick", longest_request = "10ms" }, '
            '{ path = "/slow", longest_silence = "90s", longest_request = "90s" }]',
        )
    )
