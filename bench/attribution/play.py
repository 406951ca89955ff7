"""Plays one incident and writes its folder: the log, the truth, the evidence, what was run.

access.log      the balancer's lines, all nodes in order of time
truth.jsonl     one object per error line: line (from 1), trace_root, cause, mechanism, also, measured,
                    and late_ms: how late the balancer's process acted when it took the line's times
evidence.json   what "with configuration" gives the judge: timers by target group, deployments
incident.json   how it was made, counts, and how late the balancer's process acted
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import pickle
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.attribution import generated, stacks
from bench.attribution.clients import send_all
from bench.attribution.fleet import Fleet, Life, Starter, seconds
from bench.attribution.spec import Kind, Spec
from bench.attribution.truth import Deeds, Named, Truth
from keepalign.lab import loop
from keepalign.lab.balancer import LabBalancer
from keepalign.lab.clock import LoopClock
from keepalign.lab.lag import Lags, Late, measure
from keepalign.lab.supervisor import Supervisor
from keepalign.lab.wire import Wire
from keepalign.logs.alb import read_line
from keepalign.machines.balancer import BalancerConfig, HealthCheckConfig
from keepalign.model.observation import LogRow
from keepalign.model.trace import BalancerRecord
from keepalign.units import Duration, Instant

RAW: Final = "raw.pickle"
REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
_CLIENTS: Final = ("203.0.113", "198.51.100")
"""Documentation ranges (RFC 5737)."""

_LATE: Final = Duration.of(ms=5)
"""Less is not kept."""

StarterOf = Callable[[Supervisor, Path], Starter]
"""From the owner of a run's processes, and the run's folder."""


def play(spec: Spec, folder: Path, starter_of: StarterOf | None = None) -> Counter[str]:
    """Run it, in real time; returns the number of error lines by cause.

    Args:
        folder: made here. starter_of: what starts the tasks; by default those of `spec.stack`.
    """
    return loop.run(_play(spec, folder, starter_of if starter_of is not None else _own(spec)))


def _own(spec: Spec) -> StarterOf:
    return lambda supervisor, folder: stacks.Starter(spec.stack, supervisor, folder)


async def _play(spec: Spec, folder: Path, starter_of: StarterOf) -> Counter[str]:
    clock = LoopClock(asyncio.get_running_loop())
    scratch = _scratch()
    looks: list[Late] = []
    try:
        async with AsyncExitStack() as exits:
            supervisor = await exits.enter_async_context(Supervisor.start(scratch / "run"))
            balancers = [
                await exits.enter_async_context(
                    LabBalancer(
                        _config(spec, node),
                        wire=Wire(seconds(spec.one_way), seconds(spec.one_way)),
                        seed=spec.seed * 10 + node,
                        clock=clock,
                        log_path=scratch / f"node-{node}.log",
                    )
                )
                for node in range(spec.nodes)
            ]
            fleet = Fleet(spec, starter_of(supervisor, scratch / "run"), balancers, clock)
            probe = asyncio.create_task(measure(clock, looks.append, step=Duration.of(ms=20)))
            try:
                await fleet.start()
                acting = asyncio.create_task(_act(spec, fleet))
                # What the end of the run does to requests is no part of it.
                records: list[list[BalancerRecord]] = []
                ports = [balancer.port for balancer in balancers]

                def over() -> None:
                    records.extend(list(balancer.records) for balancer in balancers)

                await send_all(spec.asks, ports, spec.length, over)
                await acting
            finally:
                await fleet.stop()
                probe.cancel()
        logs = [(scratch / f"node-{node}.log").read_text("utf-8").splitlines() for node in range(spec.nodes)]
        return _write(spec, folder, records, logs, fleet, looks)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _scratch() -> Path:
    """A folder that web servers' workers, who run as another user, may enter."""
    folder = Path(tempfile.mkdtemp(prefix="keepalign-incident-"))
    folder.chmod(0o755)
    return folder


async def _act(spec: Spec, fleet: Fleet) -> None:
    now = asyncio.get_running_loop().time
    began = now()
    for action in spec.actions:
        await asyncio.sleep(max(0.0, began + action.at - now()))
        await fleet.act(action)


def group_of(spec: Spec) -> str:
    """The target group's ARN."""
    rng = random.Random(f"group {spec.seed}")
    place = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
    return f"{place}:targetgroup/{spec.called}/{rng.getrandbits(64):016x}"


def _config(spec: Spec, node: int) -> BalancerConfig:
    rng = random.Random(f"balancer {spec.seed}")
    return BalancerConfig(
        idle_timeout=seconds(spec.idle_timeout),
        deregistration_delay=seconds(spec.deregistration_delay),
        deregistration_lag=seconds(spec.lag),
        health_check=HealthCheckConfig(
            path="/health",
            interval=seconds(spec.check_interval),
            timeout=seconds(min(5.0, spec.check_interval - 1)),
            healthy_threshold=2,
            unhealthy_threshold=3,
            matcher="200",
        ),
        name=f"app/{spec.called}/{rng.getrandbits(64):016x}",
        target_group_arn=group_of(spec),
        node_address=f"10.0.{node * 16}.{rng.randint(4, 250)}",
        dns_name=f"{spec.called}-{rng.randint(10**8, 10**9)}.{REGION}.elb.amazonaws.com",
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log. `record` is None, and `named` set, for one that was written by its signature."""

    at: Instant
    text: str
    root: str
    record: BalancerRecord | None
    named: Named | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """What a run left, before causes are named: kept, so that they can be named anew.

    `looks`: the moments in which the balancer's process acted late, in order.
    """

    spec: Spec
    lines: tuple[Line, ...]
    deeds: dict[str, Deeds]
    looks: tuple[Late, ...]


def _write(
    spec: Spec,
    folder: Path,
    records: list[list[BalancerRecord]],
    logs: list[list[str]],
    fleet: Fleet,
    looks: list[Late],
) -> Counter[str]:
    public = _Public(fleet.lives)
    lines = [
        Line(record.ended, public.line(line), record.trace_root, record)
        for node, log in zip(records, logs, strict=True)
        # The log gets its line in the instant in which the record is made.
        for record, line in zip(node, log, strict=False)
    ]
    rng = random.Random(f"generated {spec.seed}")
    sample = [line.text for line in lines]
    for cause, number in sorted(spec.generated.items()):
        named = Named(cause, "written by its signature")
        made = generated.lines(cause, number, sample, rng)
        lines.extend(Line(one.at, one.text, one.root, None, named) for one in made)
    lines.sort(key=lambda line: (line.at, line.text))
    folder.mkdir(parents=True)
    (folder / "access.log").write_text("".join(f"{line.text}\n" for line in lines), "utf-8")
    deeds = {str(life.address): life.deeds for life in fleet.lives}
    late = tuple(look for look in looks if look.acted - look.due >= _LATE)
    raw = Raw(spec, tuple(lines), deeds, late)
    (folder / RAW).write_bytes(pickle.dumps(raw))
    _dump(folder / "evidence.json", _evidence(spec, fleet))
    _dump(folder / "incident.json", _story(spec, lines, Lags(late).share(100).seconds, fleet))
    return name_causes(folder)


def name_causes(folder: Path) -> Counter[str]:
    """Write the truth of a run that was kept; returns the number of error lines by cause."""
    raw: Raw = pickle.loads((folder / RAW).read_bytes())
    asks = {ask.root: ask for ask in raw.spec.asks}
    records = [line.record for line in raw.lines if line.record is not None]
    lags = Lags(raw.looks)
    truth = Truth(raw.spec, asks, raw.deeds, records, lags)
    counts: Counter[str] = Counter()
    with (folder / "truth.jsonl").open("w", encoding="utf-8") as file:
        for number, line in enumerate(raw.lines, 1):
            row = read_line(line.text)
            assert isinstance(row, LogRow), line.text
            if not row.to_judge:
                continue
            named = line.named if line.record is None else truth.name(line.record)
            assert named is not None
            counts[named.cause] += 1
            told = {
                "line": number,
                "trace_root": line.root,
                "cause": named.cause,
                "mechanism": named.mechanism,
                "also": list(named.also),
                "measured": line.record is not None,
                "late_ms": round(max(lags.at(at).seconds for at in _moments(line)) * 1000),
            }
            file.write(json.dumps(told) + "\n")
    return counts


def _moments(line: Line) -> tuple[Instant, ...]:
    """When the balancer's process read the clock for the times of a line."""
    sent = line.record.sent_to_target if line.record is not None else None
    return (line.at,) if sent is None else (sent, line.at)


def _dump(path: Path, what: object) -> None:
    path.write_text(json.dumps(what, indent=2) + "\n", "utf-8")


def _evidence(spec: Spec, fleet: Fleet) -> dict[str, object]:
    """What a stack's configuration and the service's events say; seconds, and µs since the Unix epoch."""
    stack = spec.stack
    # Node adds a second of its own, which no configuration says.
    timers = {
        "idle_timeout": spec.idle_timeout,
        "keep_alive": None if stack.kind is Kind.SYNC else stack.keep_alive,
        "deregistration_delay": spec.deregistration_delay,
        "stop_timeout": stack.stop_timeout,
        "proxy_read": stack.proxy_read,
        "worker_timeout": stack.worker_timeout,
        "server_limit": None,
        "graceful": stack.graceful,
    }
    deployments = [
        # EventBridge dates events in whole seconds.
        {
            "at_us": removal.at.us // 1_000_000 * 1_000_000,
            "removed": list(removal.targets),
            "source": removal.source,
        }
        for removal in fleet.removals
    ]
    return {"timers": {group_of(spec): timers}, "deployments": deployments}


def _story(spec: Spec, lines: list[Line], late: float, fleet: Fleet) -> dict[str, object]:
    told = dataclasses.asdict(spec)
    del told["asks"]
    return {
        **told,
        "requests": len(spec.asks),
        "lines": len(lines),
        "longest_lateness_s": round(late, 3),
        "targets": {
            life.shown: {
                name: None if at is None else at.us
                for name, at in (
                    ("deregistered_us", life.deeds.deregistered),
                    ("signalled_us", life.deeds.signalled),
                    ("killed_us", life.deeds.killed),
                    ("crashed_us", life.deeds.crashed),
                    ("ended_us", life.deeds.ended),
                )
            }
            for life in fleet.lives
        },
    }


class _Public:
    """Puts addresses of a network in place of loopback's."""

    def __init__(self, lives: Iterable[Life]) -> None:
        self._targets = {str(life.address): life.shown for life in lives}

    def line(self, line: str) -> str:
        """The line as a network outside would have it."""
        line = re.sub(r"127\.1\.(\d+)\.(\d+)(?=:\d)", lambda m: f"{_CLIENTS[int(m[1]) % 2]}.{m[2]}", line)
        return re.sub(r"127\.0\.0\.1:\d+", lambda m: self._targets.get(m[0], m[0]), line)


def main() -> None:
    """Plays one incident of the catalogue: `python -m bench.attribution.play SPLIT NAME FOLDER`."""
    from bench.attribution.incidents import catalogue

    split, name, folder = sys.argv[1:]
    counts = play(catalogue(split, only=(name,))[name], Path(folder))
    print(name, dict(counts), flush=True)


if __name__ == "__main__":
    # What is kept names the classes of the module, not those of __main__.
    importlib.import_module("bench.attribution.play").main()
