"""Makes the shipped incident: `python -m bench.incident [FOLDER]`, a quarter of an hour in real time.

The stack below examples/incident/stack runs as it is, at time factor 1, behind the lab's balancer with two
nodes: tills poll it in a rhythm near its keep-alive timeout, people order, reports take their time, the
payment provider errs now and then, and in the middle there is a deployment. Out comes what AWS would have
written: access logs as gzip, one object per node and five minutes, and the service's events.

Addresses of loopback become those of a network (targets 10.0.0.0/16, clients from the documentation ranges
of RFC 5737); nothing else in a line is touched. What caused each error goes to stdout, by cause: the README
quotes it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from bench.attribution.play import ACCOUNT, RAW, REGION, Line, Raw, play
from bench.attribution.spec import Action, Kind, Spec, Stack, What
from bench.attribution.stacks import Started
from bench.attribution.traffic import Traffic
from keepalign.join import load_stack
from keepalign.lab.scale import Scale
from keepalign.lab.supervisor import Supervisor
from keepalign.lab.tasks import Application, Ports, TaskFactory, rehearse
from keepalign.logs.alb import read_line
from keepalign.model.observation import LogRow
from keepalign.model.workload import Workload

FOLDER: Final = Path(__file__).parent.parent / "examples" / "incident"
LENGTH_S: Final = 900.0
SEED: Final = 20261123
_POLLED: Final = ("/api/orders/open", "/api/orders/{n}", "/api/payments/{n}8", "/api/payments/open")
_PERIOD_S: Final = 300
_AS_IT_IS: Final = Scale(1)


class _Starter:
    """Starts the user's own tasks."""

    def __init__(self, stack: Path, supervisor: Supervisor, folder: Path) -> None:
        loaded = load_stack([str(stack)])
        (self._target,) = loaded.targets
        self._loaded = loaded
        self._supervisor = supervisor
        self._folder = folder
        self._ports = Ports()
        self._lock = asyncio.Lock()
        self._factory: TaskFactory | None = None

    async def start(self, task: int) -> Started:
        factory = await self._made()
        started = await factory.start(task, 1)
        return Started(started.target.port, started.containers[self._target.front], None)

    async def again(self, task: int, started: Started) -> Started:
        raise NotImplementedError("nothing is started again in this incident")

    async def _made(self) -> TaskFactory:
        async with self._lock:
            if self._factory is None:
                rehearsal = self._folder.with_name("rehearsal")
                found = await rehearse(self._target, _AS_IT_IS, "", rehearsal)
                self._factory = self._with(found)
            return self._factory

    def _with(self, applications: dict[str, Application]) -> TaskFactory:
        for application in applications.values():
            assert not application.stand_in_because, application.stand_in_because
        return TaskFactory(
            target=self._target,
            sources=self._loaded.sources,
            workload=Workload(()),
            scale=_AS_IT_IS,
            time_scale_env="",
            supervisor=self._supervisor,
            folder=self._folder,
            ports=self._ports,
            applications=applications,
        )


def spec(length: float) -> Spec:
    """The incident; timers as in examples/incident/stack."""
    traffic = Traffic(Random(SEED), length)
    rng = traffic.rng
    traffic.polls(5.4, 0.35, 12, paths=_POLLED, work=(0.06, 0.06))
    traffic.some(0.25, ("/api/orders/{n}", "/api/orders"), 0.06, 0.06)
    traffic.some(0.15, ("/api/payments/1{n}7",), 0.12, 0.12, method="POST")
    for at in (length * share for share in (0.07, 0.31, 0.52, 0.66, 0.93)):
        traffic.one(at, "POST", f"/api/payments/{rng.randrange(10, 99)}13", work=0.12, status=500)
    # A report takes a second per day.
    for days, rate in ((6, 0.05), (14, 0.05), (24, 0.2)):
        traffic.some(rate, (f"/api/reports/{days}",), days, days)
    return Spec(
        name="incident",
        split="",
        seed=SEED,
        stack=Stack(Kind.GTHREAD, keep_alive=5, stop_timeout=30, grace=30),
        idle_timeout=60,
        deregistration_delay=15,
        one_way=0.0005,
        lag=3,
        nodes=2,
        tasks=2,
        length=length,
        asks=traffic.asks(),
        actions=(Action(length * 0.35, What.DEPLOY), Action(length * 0.75, What.DEPLOY)),
        label="shop",
    )


def write(raw: Raw, told: dict[str, object], folder: Path) -> None:
    """The objects of the bucket, and the service's events."""
    shutil.rmtree(folder / "AWSLogs", ignore_errors=True)
    rng = Random(SEED)
    periods: dict[tuple[str, int], list[Line]] = {}
    for line in raw.lines:
        row = read_line(line.text)
        assert isinstance(row, LogRow)
        assert row.node is not None
        # A file is named by the end of its five minutes.
        end = (row.time.us // 1_000_000 // _PERIOD_S + 1) * _PERIOD_S
        periods.setdefault((row.node, end), []).append(line)
    for (node, end), lines in sorted(periods.items()):
        at = datetime.fromtimestamp(end, tz=UTC)
        balancer = lines[0].text.split(" ")[2].replace("/", ".")
        letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8))
        place = folder / "AWSLogs" / ACCOUNT / "elasticloadbalancing" / REGION / f"{at:%Y/%m/%d}"
        place.mkdir(parents=True, exist_ok=True)
        name = f"{ACCOUNT}_elasticloadbalancing_{REGION}_{balancer}_{at:%Y%m%dT%H%MZ}_{node}_{letters}.log.gz"
        text = "".join(f"{line.text}\n" for line in lines)
        # Without a name and a date in its header, so that the same run makes the same bytes.
        (place / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    events = "".join(json.dumps(event) + "\n" for event in _events(told))
    (folder / "ecs-events.jsonl").write_text(events, "utf-8")


def _events(told: dict[str, object]) -> list[dict[str, object]]:
    """What EventBridge sends of the tasks that were replaced (ECS guide, "Task state change events")."""
    deployments = told["deployments"]
    assert isinstance(deployments, list)
    events: list[dict[str, object]] = []
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
    for one in deployments:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=one["at_us"])
        for target in one["removed"]:
            address = target.rpartition(":")[0]
            task = f"{arn}:task/shop/{int(address.replace('.', '')):032x}"
            card = {"name": "privateIPv4Address", "value": address}
            events.append(
                {
                    "version": "0",
                    "id": f"00000000-0000-4000-8000-{len(events):012d}",
                    "detail-type": "ECS Task State Change",
                    "source": "aws.ecs",
                    "account": ACCOUNT,
                    "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                    "region": REGION,
                    "resources": [task],
                    "detail": {
                        "taskArn": task,
                        "clusterArn": f"{arn}:cluster/shop",
                        "group": "service:shop",
                        "lastStatus": "DEACTIVATING",
                        "desiredStatus": "STOPPED",
                        "stoppingAt": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                        "stoppedReason": "Scaling activity initiated by a deployment",
                        "attachments": [{"type": "eni", "status": "ATTACHED", "details": [card]}],
                    },
                }
            )
    return events


def main(arguments: Sequence[str]) -> int:
    """Play it and write it; the second argument shortens it, for a try."""
    folder = Path(arguments[0]) if arguments else FOLDER
    length = float(arguments[1]) if len(arguments) > 1 else LENGTH_S
    with tempfile.TemporaryDirectory(prefix="keepalign-example-") as scratch:
        kept = Path(scratch) / "incident"
        counts = play(spec(length), kept, lambda owner, place: _Starter(FOLDER / "stack", owner, place))
        raw: Raw = pickle.loads((kept / RAW).read_bytes())
        folder.mkdir(parents=True, exist_ok=True)
        write(raw, json.loads((kept / "evidence.json").read_text("utf-8")), folder)
        print(f"{len(raw.lines)} lines; errors: {dict(counts)}")
        shutil.copy(kept / "truth.jsonl", Path(tempfile.gettempdir()) / "keepalign-incident-truth.jsonl")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
