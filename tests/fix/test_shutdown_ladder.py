"""Grace and stop timeout are solved together with the rest of the path."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks

from keepalign import rules
from keepalign.fix import Repair, repair
from keepalign.fix.solve import setting_at
from keepalign.model.finding import Severity
from keepalign.model.timers import Role

ALONE: Final = """
[[path]]
deregistration_delay = "{delay}s"
stops = [
  {{ container = "web", signal = "SIGWINCH", stop_timeout = {{ value = "{stop}s", literal = "var.stop" }} }},
  {{ container = "api", stop_timeout = {{ value = "{stop}s", literal = "var.stop" }} }},
]
endpoints = [{{ path = "/x", silence = "{longest}s", request = "{longest}s" }}]

[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "{idle}s", upstream_pool_idle = "{idle}s" }}

[[path.hop]]
name = "web"
product = "apache_httpd"
version = "2.4"
traits = {{ mpm = "{mpm}" }}
settings = {{ server_idle = "{keep}s", upstream_read = "300s", shutdown_grace = "unset unlimited" }}

[[path.hop]]
name = "api"
product = "gunicorn"
version = "27.0.1"
traits = {{ worker_class = "sync" }}
settings = {{ server_idle = "off", handler_timeout = "300s", shutdown_grace = "{grace}s" }}
"""


# No edit orders the two containers, so that both are stopped while requests are in flight.
ADVICE = {"app-stops-before-proxy"}


def mend(**values: object) -> tuple[stacks.Built, Repair]:
    usual: dict[str, object] = {
        "delay": 300, "stop": 20, "longest": 90, "idle": 120, "keep": 150, "mpm": "event", "grace": 30,
    }  # fmt: skip
    built = stacks.parse(ALONE.format(**usual | values))
    return built, repair(built.stack, built.sources, built.reread)


def values(mended: Repair) -> dict[str, str]:
    return {f"{c.hop} {c.setting.option}": str(c.value) for c in mended.plan.changes}


def test_containers_that_share_a_variable_are_one_edit() -> None:
    built, mended = mend()
    assert values(mended) == {"web stopTimeout": "120 s", "api graceful_timeout": "120 s"}
    assert {f.cause for f in mended.after.findings} == ADVICE
    assert b"var.stop = 120\n" in mended.changed[stacks.FILE]
    assert mended.changed[stacks.FILE].count(b"\n") == built.sources[stacks.FILE].data.count(b"\n")


def test_changes_of_the_shutdown_ladder_come_last() -> None:
    _, mended = mend(delay=0, idle=60, keep=5)
    assert [change.role for change in mended.plan.changes] == [
        Role.UPSTREAM_READ, Role.SERVER_IDLE, Role.DEREGISTRATION_DELAY, Role.SHUTDOWN_GRACE,
        Role.STOP_TIMEOUT,
    ]  # fmt: skip


def test_setting_at_finds_the_stop_timeout_of_a_container() -> None:
    built, _ = mend()
    path = built.stack.paths[0]
    assert path.lifecycle is not None
    assert setting_at(path, "api", Role.STOP_TIMEOUT) is path.lifecycle.stops[1].stop_timeout
    assert setting_at(path, "nobody", Role.STOP_TIMEOUT) is None


def test_stop_timeout_stays_within_what_the_platform_takes() -> None:
    _, mended = mend(longest=117, grace=200)
    assert values(mended) == {"web stopTimeout": "120 s"}
    assert {f.cause for f in mended.after.findings} == ADVICE


def test_request_beyond_the_platform_is_told_and_the_rest_is_solved() -> None:
    _, mended = mend(longest=250, delay=0)
    assert values(mended)["alb deregistration_delay"] == "300 s"
    left = {finding.cause: finding for finding in mended.after.findings if finding.cause not in ADVICE}
    assert set(left) == {"stop-timeout-below-drain", "no-graceful-shutdown"}
    for finding in left.values():
        assert finding.mitigation is not None
        assert "Fargate" in finding.mitigation.cost


def test_keepalive_beyond_every_stop_timeout_is_ended_by_a_grace() -> None:
    _, mended = mend(mpm="prefork", grace=200)
    assert values(mended) == {"web stopTimeout": "120 s", "web GracefulShutdownTimeout": "105 s"}
    # What holds processes is an advice, and the traffic decides.
    assert {f.cause for f in mended.after.findings} == {"keepalive-holds-workers"} | ADVICE


def test_grace_below_the_kill_needs_no_longer_stop_timeout() -> None:
    _, mended = mend(mpm="prefork", grace=200, longest=40, stop=60)
    assert values(mended) == {"web GracefulShutdownTimeout": "50 s"}


def test_raised_grace_takes_the_stop_timeout_with_it() -> None:
    _, mended = mend(longest=45, stop=40, grace=30)
    assert values(mended) == {"web stopTimeout": "50 s", "api graceful_timeout": "50 s"}


SECONDS = st.integers(min_value=1, max_value=200)


@given(
    delay=st.integers(0, 400), stop=st.integers(2, 120), longest=st.integers(1, 118), idle=SECONDS,
    keep=SECONDS, grace=SECONDS, mpm=st.sampled_from(["event", "prefork", "worker"]),
)  # fmt: skip
def test_nothing_that_costs_requests_is_left_after_the_repair(
    delay: int, stop: int, longest: int, idle: int, keep: int, grace: int, mpm: str
) -> None:
    built, mended = mend(delay=delay, stop=stop, longest=longest, idle=idle, keep=keep, grace=grace, mpm=mpm)
    assert all(f.severity <= Severity.LOW and not f.needs for f in mended.after.findings)
    assert {f.cause for f in mended.after.findings} - ADVICE <= {
        "keepalive-holds-workers",
        "keepalive-above-stop-budget",
    }
    again = repair(
        built.reread(mended.changed),
        stacks.build(built.case, mended.changed.get(stacks.FILE)).sources,
        lambda overlay: built.reread({**mended.changed, **overlay}),
    )
    assert again.changed == {}
    assert rules.check(built.reread(mended.changed)).findings == mended.after.findings
