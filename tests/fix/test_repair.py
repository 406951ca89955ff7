from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rules import stacks
from tests.rules.stacks import Built

from keepalign import rules
from keepalign.errors import ReadError, UnsolvablePath
from keepalign.fix import Repair, changes_applied, diff, diffs_of, repair, roll_out
from keepalign.fix.costs import cost_of
from keepalign.model.checked import Change
from keepalign.model.path import Stack
from keepalign.model.setting import Explicit
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.units import Duration


def mend(text: str) -> tuple[Built, Repair]:
    built = stacks.parse(text)
    return built, repair(built.stack, built.sources, built.reread)


def test_story_is_clean_after_its_repair() -> None:
    built, mended = mend(stacks.STORY)
    assert len(mended.before.findings) == 5
    assert mended.after.findings == ()
    assert rules.check(built.reread(mended.changed)).findings == ()


def test_repair_of_a_repaired_stack_changes_nothing() -> None:
    built, mended = mend(stacks.STORY)
    again = repair(
        built.reread(mended.changed),
        stacks.build(built.case, mended.changed[stacks.FILE]).sources,
        lambda overlay: built.reread({**mended.changed, **overlay}),
    )
    assert again.changed == {}
    assert again.plan.changes == ()


def test_each_finding_has_a_diff_of_its_own_change() -> None:
    built, mended = mend(stacks.STORY)
    shown = diffs_of(mended, built.sources)
    assert [text.count("\n+") - 1 for text in shown.values()] == [1, 1, 1, 1, 1]
    whole = diff(mended.changed, built.sources)
    assert whole.count("\n+") - 1 == 5


def test_repair_with_one_change_taken_back_leaves_its_finding() -> None:
    built, mended = mend(stacks.STORY)
    for finding in mended.before.findings:
        kept = [c for c in mended.plan.editable if not c.cures(finding)]
        assert len(kept) == len(mended.plan.editable) - 1
        left = rules.check(built.reread(changes_applied(kept, built.sources)))
        assert finding.cause in {f.cause for f in left.findings}


def test_setting_outside_the_files_read_is_left_to_people_and_the_rest_is_solved() -> None:
    _, mended = mend(stacks.STORY.replace('"60s"', '"by hand 60s"'))
    assert [c.setting.option for c in mended.plan.by_hand] == ["idle_timeout"]
    assert [f.cause for f in mended.after.findings] == ["lb-idle-below-response-time"]


def test_file_that_was_not_read_is_not_edited() -> None:
    built = stacks.parse(stacks.STORY)
    mended = repair(built.stack, {}, built.reread)
    assert mended.changed == {}
    assert len(mended.plan.by_hand) == 5


def test_value_that_reads_back_otherwise_is_told() -> None:
    built = stacks.parse(stacks.STORY)

    def deaf(overlay: Mapping[str, bytes]) -> Stack:
        return built.stack

    with pytest.raises(UnsolvablePath, match="still reads as"):
        repair(built.stack, built.sources, deaf)


def test_edits_after_which_nothing_can_be_read_are_no_fix() -> None:
    built = stacks.parse(stacks.STORY)

    def refuse(overlay: Mapping[str, bytes]) -> Stack:
        raise ReadError("is set twice", file=stacks.FILE, line=2, column=1)

    with pytest.raises(UnsolvablePath, match=r"with the edits made, stack\.conf:2:1 is set twice"):
        repair(built.stack, built.sources, refuse)


def test_value_that_another_edit_brings_in_is_solved_in_a_second_round() -> None:
    built = stacks.parse(stacks.STORY)
    longer = stacks.parse(
        stacks.STORY.replace('silence = "90s", request = "90s"', 'silence = "200s", request = "200s"')
    )

    def reread(overlay: Mapping[str, bytes]) -> Stack:
        return longer.reread(overlay)

    mended = repair(built.stack, built.sources, reread)
    assert mended.after.findings == ()
    assert {c.setting.option: str(c.value) for c in mended.plan.changes}["idle_timeout"] == "240 s"


def test_one_endpoint_without_a_solution_leaves_the_others_their_fix() -> None:
    longer = 'silence = "5000s", request = "5000s"'
    built, mended = mend(stacks.STORY.replace('silence = "90s", request = "90s"', longer))
    messages = {finding.cause: error.message for finding, error in mended.unsolved.items()}
    assert messages.keys() == {"lb-idle-below-response-time"}
    assert "takes at most 4000 s" in messages["lb-idle-below-response-time"]
    left = {finding.cause for finding in mended.after.findings}
    # No drain can be as long either; that finding asks for nothing.
    assert left == {"lb-idle-below-response-time", "deregistration-below-longest-request"}
    cured = {finding.cause for finding in mended.before.findings} - left
    assert "backend-keepalive-below-lb-idle" in cured
    assert mended.changed[stacks.FILE] != built.sources[stacks.FILE].data


def test_every_change_of_the_story_has_its_cost_and_none_is_unsafe() -> None:
    _, mended = mend(stacks.STORY)
    costs = {f"{c.hop} {c.setting.option}": (c.cost, c.safe) for c in mended.plan.changes}
    assert costs["aws_lb.this idle_timeout"] == ("a request that hangs is given up after 120 s", True)
    assert costs["httpd KeepAliveTimeout"] == ("httpd keeps idle connections open for up to 150 s", True)
    assert all(cost and safe for cost, safe in costs.values())


def test_idle_connections_that_hold_workers_are_an_unsafe_edit() -> None:
    text = stacks.STORY.replace('mpm = "event"', 'mpm = "prefork"')
    assert text != stacks.STORY
    _, mended = mend(text)
    unsafe = {change.setting.option: change.cost for change in mended.plan.changes if not change.safe}
    assert unsafe == {"KeepAliveTimeout": "each idle connection holds a worker of httpd for up to 150 s"}


def test_limits_that_come_down_are_unsafe_unless_every_declared_request_is_shorter() -> None:
    stack = stacks.parse(stacks.STORY).stack
    name = stack.paths[0].name
    shorter = Change(name, "api", Role.UPSTREAM_READ, _seconds(60), Duration.of(s=20), ("x",), False, "why")
    assert cost_of(shorter, stack) == ("whatever takes longer than 20 s fails", False)
    assert cost_of(replace(shorter, role=Role.SERVER_IDLE), stack)[1]
    assert not cost_of(replace(shorter, role=Role.STOP_TIMEOUT), stack)[1]
    assert cost_of(replace(shorter, setting=_seconds(300), value=Duration.of(s=200)), stack)[1]


def _seconds(value: int) -> Explicit:
    return Explicit(option="x", origin=Origin(OriginKind.FILE), value=Duration.of(s=value))


def test_roll_out_drains_first_and_raises_the_balancers_idle_limit_last() -> None:
    built, mended = mend(stacks.STORY)
    stages = [[c.setting.option for c in one.changes] for one in roll_out(mended.plan.changes, built.stack)]
    assert stages[0] == ["deregistration_delay"]
    assert "KeepAliveTimeout" in stages[1]
    assert stages[2] == ["idle_timeout"]
    targets_only = [c for c in mended.plan.changes if c.hop == "httpd"]
    assert roll_out(targets_only, built.stack) == ()


def test_a_balancer_that_comes_down_goes_before_the_targets() -> None:
    built, mended = mend(stacks.STORY)
    idle = next(c for c in mended.plan.changes if c.setting.option == "idle_timeout")
    keep = next(c for c in mended.plan.changes if c.setting.option == "KeepAliveTimeout")
    stages = roll_out([keep, replace(idle, value=Duration.of(s=30))], built.stack)
    assert [[c.hop for c in one.changes] for one in stages] == [["aws_lb.this"], ["httpd"]]


SECONDS = st.integers(min_value=0, max_value=400)


@given(
    idle=st.integers(min_value=1, max_value=400), keep=SECONDS, delay=SECONDS, proxy=SECONDS, worker=SECONDS,
    silence=SECONDS, request=SECONDS,
)  # fmt: skip
def test_check_is_clean_after_repair_whatever_the_values(
    idle: int, keep: int, delay: int, proxy: int, worker: int, silence: int, request: int
) -> None:
    text = (
        stacks.STORY.replace('"60s"', f'"{idle}s"')
        .replace('server_idle = "5s"', f'server_idle = "{keep}s"')
        .replace('deregistration_delay = "0s"', f'deregistration_delay = "{delay}s"')
        .replace('upstream_read = "20s"', f'upstream_read = "{proxy}s"')
        .replace('handler_timeout = "30s"', f'handler_timeout = "{worker}s"')
        .replace(
            'silence = "90s", request = "90s"', f'silence = "{silence}s", request = "{silence + request}s"'
        )
    )
    _, mended = mend(text)
    # Of advice that asks for no value some may be left.
    assert [finding for finding in mended.after.findings if finding.needs] == []
    assert bool(mended.changed) == any(finding.needs for finding in mended.before.findings)


INNER = """
[[path]]
endpoints = [{{ path = "/", silence = "{silence}s", request = "{request}s" }}]
[[path.hop]]
name = "alb"
product = "aws_alb"
settings = {{ upstream_read = "{idle}s", upstream_pool_idle = "{idle}s" }}
[[path.hop]]
name = "proxy"
product = "{proxy}"
settings = {{ server_idle = "{outer}s", upstream_read = "{read}s", upstream_pool_idle = "{pool}" }}
[[path.hop]]
name = "api"
product = "gunicorn"
traits = {{ worker_class = "{worker_class}" }}
settings = {{ server_idle = "{keep}s", handler_timeout = "{worker}s" }}
"""


@given(
    proxy=st.sampled_from(["apache_httpd", "nginx"]), worker_class=st.sampled_from(["sync", "gthread"]),
    pool=st.one_of(st.just("unset unlimited"), st.integers(1, 400).map(lambda n: f"{n}s")),
    idle=st.integers(1, 400), outer=SECONDS, keep=SECONDS, read=st.integers(1, 400), worker=SECONDS,
    silence=st.integers(1, 400), more=SECONDS,
)  # fmt: skip
def test_check_is_clean_after_repair_behind_the_balancer_and_a_second_repair_changes_nothing(
    proxy: str, worker_class: str, pool: str, idle: int, outer: int, keep: int, read: int, worker: int,
    silence: int, more: int,
) -> None:  # fmt: skip
    built, mended = mend(
        INNER.format(
            proxy=proxy, worker_class=worker_class, pool=pool, idle=idle, outer=outer, keep=keep, read=read,
            worker=worker, silence=silence, request=silence + more,
        )
    )  # fmt: skip
    assert [finding for finding in mended.after.findings if finding.needs] == []
    assert mended.plan.by_hand == ()
    again = repair(
        built.reread(mended.changed),
        stacks.build(built.case, mended.changed.get(stacks.FILE)).sources,
        lambda overlay: built.reread({**mended.changed, **overlay}),
    )
    assert again.changed == {}
