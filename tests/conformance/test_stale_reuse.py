"""The rate of stale re-use, counted three ways on one schedule: closed form, our balancer, nginx.

A target closes an idle connection after K. A request sent a gap g after the last response fails where
K − RTT < g < min(K + e, I): it leaves before the news of the close has come, and arrives after the close.
With independent arrivals at rate λ that is a share exp(−λ(K − RTT)) − exp(−λ min(K + e, I)) of all requests.

- the closed form with the e that was measured during the run, once over exponential gaps and once over the
  gaps that our balancer had (F is then a count, and what is left is the jitter at the window's edges);
- our balancer behind the virtual wire;
- nginx as the balancer, with `proxy_next_upstream off`: it then repeats a request as little as an ALB does
  (by default it does, and hides the race). Another program, another wire (`delay_relay`).

Both balancers send the same requests at the same times to the same targets, on connections of their own.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
import shutil
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.conformance.delay_relay import DelayRelay, Use

from keepalign.lab import loop
from keepalign.lab.arrivals import Schedule, merge, poisson
from keepalign.lab.balancer import LabBalancer
from keepalign.lab.clock import LoopClock
from keepalign.lab.lag import PROGRAM, Lags, Late, measure, watched
from keepalign.lab.load import LoadGenerator
from keepalign.lab.supervisor import Supervisor
from keepalign.lab.tasks import Ports
from keepalign.lab.wire import Wire
from keepalign.machines.balancer import BalancerConfig
from keepalign.machines.commands import TargetAddress
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending
from keepalign.units import ZERO, Duration, Instant

NGINX: Final = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

KEEP_ALIVE: Final = Duration.of(ms=500)
IDLE_TIMEOUT: Final = Duration.of(s=60)
# Far above what a busy machine adds of its own.
ONE_WAY: Final = Duration.of(ms=10)
ROUND_TRIP: Final = ONE_WAY * 2

TARGETS: Final = 60
PER_SECOND: Final = 2.0
"""Per target: 1/K, where the rate is greatest."""
LENGTH: Final = Duration.of(s=25)
SEED: Final = 1

# For what timers of other programs round to, and what happens between two looks at the lag.
SLACK: Final = Duration.of(ms=10)

_SERVER: Final = """\
daemon off;
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}.error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/{name}.tmp;
    proxy_temp_path {folder}/{name}.tmp;
    fastcgi_temp_path {folder}/{name}.tmp;
    uwsgi_temp_path {folder}/{name}.tmp;
    scgi_temp_path {folder}/{name}.tmp;
{http}}}
"""


def target_conf(ports: Sequence[int]) -> str:
    """One nginx that is all targets: an address for each."""
    listens = "".join(f"        listen 127.0.0.1:{port};\n" for port in ports)
    return (
        f"    server {{\n{listens}"
        f"        keepalive_timeout {KEEP_ALIVE.us // 1000}ms;\n"
        "        keepalive_requests 1000000;\n"
        '        location / { return 200 "ok"; }\n'
        "    }\n"
    )


def balancer_conf(port: int, links: Sequence[int]) -> str:
    """nginx as the balancer: /N goes to target N, whose pool is its own."""
    upstreams = "".join(
        f"    upstream t{n} {{ server 127.0.0.1:{link}; keepalive 64; keepalive_requests 1000000;"
        f" keepalive_timeout {IDLE_TIMEOUT.us // 1_000_000}s; }}\n"
        for n, link in enumerate(links)
    )
    locations = "".join(f"        location = /{n} {{ proxy_pass http://t{n}; }}\n" for n in range(len(links)))
    return (
        f"{upstreams}    server {{\n"
        f"        listen 127.0.0.1:{port};\n"
        "        keepalive_requests 1000000;\n"
        "        proxy_http_version 1.1;\n"
        '        proxy_set_header Connection "";\n'
        "        proxy_next_upstream off;\n"
        f"{locations}    }}\n"
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """One schedule through two balancers.

    Args:
        ours, theirs: what the clients of our balancer and of nginx saw.
        records: of our balancer. uses: of the links behind nginx.
        lags, server_lags: how late this process acted, and how late one beside the nginxes did.
    """

    ours: list[ClientRecord]
    theirs: list[ClientRecord]
    records: list[BalancerRecord]
    uses: list[Use]
    lags: Lags
    server_lags: Lags

    def late(self, moment: Instant) -> Duration:
        """How late any of the programs may have been near `moment`."""
        return max(self.lags.at(moment), self.server_lags.at(moment))


async def start_nginx(supervisor: Supervisor, name: str, http: str, port: int) -> None:
    """Runs until the supervisor ends; answers on `port` when this returns."""
    assert NGINX is not None
    folder = supervisor.folder
    conf = folder / f"{name}.conf"
    conf.write_text(_SERVER.format(folder=folder, name=name, http=http), "utf-8")
    log = folder / f"{name}.error.log"
    process = await supervisor.spawn(
        [NGINX, "-p", str(folder), "-c", str(conf), "-e", str(log)],
        env=os.environ, cwd=folder, stdout=folder / f"{name}.out", stderr=log,
    )  # fmt: skip
    async with asyncio.timeout(20):
        while True:
            assert process.returncode is None, process.tail()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def measured(folder: Path) -> Measured:
    """Send the schedule through both balancers side by side."""
    clock = LoopClock(asyncio.get_running_loop())
    rng = random.Random(SEED)
    schedules = [poisson(rng, f"/{n}", per_second=PER_SECOND, length=LENGTH) for n in range(TARGETS)]
    ports = Ports()
    targets = [ports.take() for _ in range(TARGETS)]
    front = ports.take()
    async with Supervisor.start(folder) as supervisor, AsyncExitStack() as stack:
        await start_nginx(supervisor, "targets", target_conf(targets), targets[-1])
        relay = await stack.enter_async_context(DelayRelay(clock, up=ONE_WAY, down=ONE_WAY))
        links = [await relay.listen(port) for port in targets]
        await start_nginx(supervisor, "balancer", balancer_conf(front, links), front)
        balancers = []
        for port in targets:
            balancer = LabBalancer(
                BalancerConfig(idle_timeout=IDLE_TIMEOUT, deregistration_delay=ZERO),
                clock=clock, seed=SEED, wire=Wire(ONE_WAY, ONE_WAY),
            )  # fmt: skip
            balancers.append(await stack.enter_async_context(balancer))
            balancer.register(TargetAddress("127.0.0.1", port))
        waits = folder / "waits.txt"
        await supervisor.spawn(
            [sys.executable, "-c", PROGRAM],
            env=os.environ, cwd=folder, stdout=waits, stderr=folder / "waits.log",
        )  # fmt: skip
        looks: list[Late] = []
        watch = asyncio.create_task(measure(clock, looks.append))

        async def through(port: int, schedule: Schedule) -> list[ClientRecord]:
            return await LoadGenerator("127.0.0.1", port, clock).run(schedule)

        try:
            theirs, *ours = await asyncio.gather(
                through(front, merge(*schedules)),
                *(through(b.port, schedule) for b, schedule in zip(balancers, schedules, strict=True)),
            )
        finally:
            watch.cancel()
        return Measured(
            ours=[record for records in ours for record in records],
            theirs=theirs,
            records=[record for balancer in balancers for record in balancer.records],
            uses=list(relay.uses),
            lags=Lags(looks),
            server_lags=watched(waits.read_text("utf-8")),
        )


def share(latency: Duration) -> float:
    """The closed form, where the balancer acts `latency` late."""
    per_us = PER_SECOND / 1_000_000
    opens, closes = KEEP_ALIVE - ROUND_TRIP, min(KEEP_ALIVE + latency, IDLE_TIMEOUT)
    return math.exp(-per_us * opens.us) - math.exp(-per_us * closes.us)


def failed(clients: list[ClientRecord]) -> int:
    """Requests answered with a 502; there is nothing else but 200."""
    assert {client.failure for client in clients} == {ClientFailure.NONE}
    assert {client.status for client in clients} == {200, 502}
    return sum(client.status == 502 for client in clients)


def in_window(gap: Duration | None, sent: Instant | None, seen: Measured) -> bool:
    """Whether a gap is one that can fail, as far as clocks of several programs tell."""
    if gap is None or sent is None:
        return False  # a new connection has nothing stale about it
    blur = SLACK + seen.late(sent) + seen.late(sent + -gap)
    return KEEP_ALIVE - ROUND_TRIP - blur < gap < KEEP_ALIVE + blur


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_stale_reuse_is_counted_alike_by_formula_balancer_and_nginx(tmp_path: Path) -> None:
    # A full collection over all that pytest has loaded stops this process for some 40 ms.
    gc.freeze()
    try:
        seen = loop.run(measured(tmp_path / "run"))
    finally:
        gc.unfreeze()
    requests = len(seen.ours)
    assert requests == len(seen.theirs) == len(seen.records) == len(seen.uses)

    reuses = [(r.gap, r.sent_to_target) for r in seen.records if r.gap is not None and r.sent_to_target]
    latency = Duration(round(sum(seen.lags.at(sent).us for _, sent in reuses) / len(reuses)))
    p = share(latency)
    expected, sd = requests * p, math.sqrt(requests * p * (1 - p))
    of_trace = sum(KEEP_ALIVE - ROUND_TRIP < gap < KEEP_ALIVE + latency for gap, _ in reuses)
    ours, theirs = failed(seen.ours), failed(seen.theirs)

    stale = [record for record in seen.records if record.status == 502]
    gaps = [(record.gap, record.sent_to_target) for record in stale]
    their_gaps = [(use.gap, use.sent) for use in seen.uses if not use.answered]
    report = [f"closed form: {expected:.1f} ± {sd:.1f}; over this trace's gaps: {of_trace}; e = {latency}"]
    for name, pairs in (("our balancer", gaps), ("nginx", their_gaps)):
        ms = sorted(gap.us / 1000 for gap, _ in pairs if gap is not None)
        report.append(f"{name}: {len(ms)} of {requests}, after gaps of {ms[0]:.1f} to {ms[-1]:.1f} ms")
    sys.stdout.write("\n".join(report) + "\n")

    assert expected >= 30
    for predicted in (expected, of_trace):
        assert abs(ours - predicted) <= 3 * sd
        assert abs(theirs - predicted) <= 3 * sd
    assert len(their_gaps) == theirs
    assert {record.ending for record in stale} <= {Ending.TARGET_FIN, Ending.TARGET_RST}
    strays = [gap for gap, sent in [*gaps, *their_gaps] if not in_window(gap, sent, seen)]
    # Now and then one nginx waits for a processor while neither this process nor the watch does.
    assert len(strays) <= expected / 20, strays
