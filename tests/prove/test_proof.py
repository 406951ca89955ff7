"""The runs of a proof: before and after the fix, or once where there is nothing to fix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab import small_stack
from tests.prove.runs import at, request

from keepalign import rules
from keepalign.errors import LabError, UnsolvablePath
from keepalign.fix import Plan
from keepalign.join import Loaded
from keepalign.lab import experiment, loop
from keepalign.lab.experiment import Experiment, Run, What
from keepalign.lab.lag import Lags, Late
from keepalign.lab.scale import choose
from keepalign.lab.tasks import Ports
from keepalign.model.proof import Verdict
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending, Trace
from keepalign.prove import proof, traffic
from keepalign.prove.attribute import LB_IDLE, PROXY_READ, STALE
from keepalign.prove.proof import Progress, prepare, prove
from keepalign.units import Duration

SLOW = (
    '[{ path = "/quick", longest_request = "10ms" },'
    ' { path = "/slow", longest_silence = "90s", longest_request = "90s" }]'
)
TAKEN_BACK = f"after, {LB_IDLE} taken back"


class FakeLab:
    """Stands for the lab: makes the runs that a test wrote down, by their names."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        made: dict[str, Sequence[tuple[ClientRecord, BalancerRecord]]],
    ) -> None:
        self.made = made
        self.servers_waited_ms = 0.0
        self.asked: list[Experiment] = []
        self.most_at_once = self._at_once = 0
        monkeypatch.setattr(experiment, "run", self._run)
        monkeypatch.setattr(proof, "rehearse", self._rehearse)
        monkeypatch.setattr(proof, "versions", lambda _: ("Apache httpd 2.4.71",))

    async def _rehearse(self, *_: object) -> dict[str, object]:
        return {}

    async def _run(
        self,
        one: Experiment,
        folder: Path,
        ports: Ports,
        *,
        progress: Callable[[int, int], None],
        keep: bool,
    ) -> Run:
        self.asked.append(one)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        clients, records = zip(*self.made[one.name], strict=True)
        for number in range(len(clients)):
            progress(number + 1, len(clients))
        waits = Lags([Late(at(1), at(1 + self.servers_waited_ms))])
        return Run(one, Trace(clients, records, ()), at(0), Lags([]), waits, {}, (), {})


def timed_out(number: int) -> list[tuple[ClientRecord, BalancerRecord]]:
    return [request(Ending.IDLE_TIMEOUT, took=1000, status=504, endpoint="/slow") for _ in range(number)]


def slow(number: int) -> list[tuple[ClientRecord, BalancerRecord]]:
    return [request(first_byte=1500, took=1501, target_status=200, endpoint="/slow") for _ in range(number)]


def gave_up(number: int) -> list[tuple[ClientRecord, BalancerRecord]]:
    return [
        request(first_byte=1001, took=1002, status=502, target_status=502, endpoint="/slow")
        for _ in range(number)
    ]


def silent_for_too_long(folder: Path, *, timeout_s: int = 300) -> Loaded:
    """The balancer gives up on /slow; nothing else is wrong, but for a web server that gives up earlier."""
    return small_stack.load(small_stack.write(folder, endpoints=SLOW, keep_alive_s=200, timeout_s=timeout_s))


def test_fix_is_run_beside_the_stack_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = FakeLab(monkeypatch, {"before": timed_out(70), "after": slow(70)})
    steps: list[Progress] = []
    proven = loop.run(prove(silent_for_too_long(tmp_path), seed=3, report=steps.append))
    assert proven.proof.holds
    assert [run.name for run in proven.proof.runs] == ["before", "after"]
    assert [(row.cause, row.verdict) for row in proven.proof.rows] == [(LB_IDLE, Verdict.SEEN)]
    assert lab.most_at_once == 2
    before, after = lab.asked
    assert before.schedule == after.schedule, "the same load"
    assert before.scale == after.scale
    (first,), (second,) = before.happenings, after.happenings
    assert first.what is second.what is What.DEPLOY
    assert second.at == first.at + Duration.of(s=4), "not both at once"
    idle = [value_of(one.paths[0].hops[0].settings[Role.UPSTREAM_READ]) for one in lab.asked]
    assert idle == [Duration.of(s=60), Duration.of(s=120)]
    assert [step.phase for step in steps][:2] == [
        "loading the applications once",
        "before and after: starting the servers",
    ]
    assert (steps[-1].done, steps[-1].total) == (140, 2 * len(before.schedule))


def test_stack_without_findings_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = [request(target_status=200) for _ in range(3)]
    lab = FakeLab(monkeypatch, {"as it is": fine})
    proven = loop.run(prove(small_stack.load(small_stack.write(tmp_path)), seed=1))
    assert len(lab.asked) == 1
    assert proven.proof.holds
    assert proven.proof.rows == ()
    assert [(run.name, run.ok) for run in proven.proof.runs] == [("as it is", 3)]
    assert proven.after is None


def test_failure_without_a_finding_means_that_nothing_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeLab(monkeypatch, {"as it is": gave_up(2)})
    proven = loop.run(prove(small_stack.load(small_stack.write(tmp_path)), seed=1))
    assert not proven.proof.holds


def test_request_that_overran_its_declaration_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = SLOW.replace('longest_silence = "90s"', 'longest_silence = "1s"')
    loaded = small_stack.load(
        small_stack.write(
            tmp_path, endpoints=streams, keep_alive_s=200, timeout_s=300, delay_s=300,
            gunicorn='"--bind", ":8000", "--workers", "40", "--timeout", "45"',
        )
    )  # fmt: skip
    paths = [*loaded.stack.paths, *prepare(loaded)[1].stack.paths]
    declared = choose(paths).down(Duration.of(s=90)).us / 1000

    def ended(took: float, how: Ending) -> tuple[ClientRecord, BalancerRecord]:
        cut = ClientFailure.NONE if how is Ending.RESPONSE else ClientFailure.BODY_CUT_SHORT
        return request(
            how, took=took, first_byte=50, target_status=200, endpoint="/slow", headers_sent=True, failure=cut
        )

    killed = [ended(declared * 0.8, Ending.TARGET_FIN) for _ in range(70)]
    whole = [ended(declared, Ending.RESPONSE) for _ in range(70)]
    late = ended(declared * 1.5, Ending.TARGET_FIN)
    lab = FakeLab(monkeypatch, {"before": killed, "after": [*whole, late]})
    with pytest.raises(LabError, match=r"too busy to measure: /slow took .* and more, where .* \(as run\)"):
        loop.run(prove(loaded, seed=1))
    lab.made["after"] = [*whole, killed[0]]
    assert not loop.run(prove(loaded, seed=1)).proof.holds, "cut in time, the limit is to blame"


def test_silence_that_overran_its_declaration_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = silent_for_too_long(tmp_path)
    # Apache's limit of 300 s runs as 5 s, and 90 s are declared.
    late = request(first_byte=5001, took=5002, status=502, target_status=502, endpoint="/slow")
    lab = FakeLab(monkeypatch, {"before": timed_out(70), "after": [*slow(70), late]})
    with pytest.raises(LabError, match=r"too busy to measure: /slow took 5.0 s and more"):
        loop.run(prove(loaded, seed=1))
    lab.made["after"] = [*slow(70), late, *gave_up(1)]
    assert not loop.run(prove(loaded, seed=1)).proof.holds, "not everything that failed was late"


def test_hidden_cause_gets_a_run_with_its_own_edits_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = FakeLab(monkeypatch, {"before": gave_up(70), "after": slow(70), TAKEN_BACK: timed_out(70)})
    proven = loop.run(prove(silent_for_too_long(tmp_path, timeout_s=50), seed=1))
    assert [(row.cause, row.verdict) for row in proven.proof.rows] == [
        (LB_IDLE, Verdict.HIDDEN),
        (PROXY_READ, Verdict.SEEN),
    ]
    assert [one.name for one in lab.asked] == ["before", "after", TAKEN_BACK]
    alb, httpd = lab.asked[-1].paths[0].hops
    assert value_of(alb.settings[Role.UPSTREAM_READ]) == Duration.of(s=60), "taken back"
    proxy = value_of(httpd.settings[Role.UPSTREAM_READ])
    assert proxy is not None
    assert proxy > Duration.of(s=90), "the other edits stand"
    assert proven.proof.holds


def test_prediction_that_never_comes_true_fails_the_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeLab(monkeypatch, {"before": slow(70), "after": slow(70), TAKEN_BACK: slow(70)})
    proven = loop.run(prove(silent_for_too_long(tmp_path), seed=1))
    assert proven.proof.faults == (f"{LB_IDLE}: predicted, but none of 70 exposed requests failed",)


def test_machine_that_is_too_busy_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = silent_for_too_long(tmp_path)
    lab = FakeLab(monkeypatch, {"before": timed_out(70), "after": [*slow(70), *gave_up(1)]})
    lab.servers_waited_ms = 100
    assert not loop.run(prove(loaded, seed=1)).proof.holds
    lab.servers_waited_ms = 700
    with pytest.raises(LabError) as raised:
        loop.run(prove(loaded, seed=1))
    assert "servers waited up to 700 ms for a processor" in raised.value.message
    assert "1 failure after the fix" in raised.value.message
    lab.made["after"] = slow(70)
    assert loop.run(prove(loaded, seed=1)).proof.holds, "what held in spite of it holds"


def test_fault_in_one_run_is_the_fault_that_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeLab(monkeypatch, {})

    async def fail(*_: object, **__: object) -> Run:
        raise LabError("httpd ended with 1 while starting")

    monkeypatch.setattr(experiment, "run", fail)
    with pytest.raises(LabError, match="httpd ended with 1"):
        loop.run(prove(silent_for_too_long(tmp_path), seed=1))


def test_missing_server_is_told_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = FakeLab(monkeypatch, {})

    def missing(_: object) -> tuple[str, ...]:
        raise LabError("Apache httpd 2.4 is missing")

    monkeypatch.setattr(proof, "versions", missing)
    steps: list[Progress] = []
    with pytest.raises(LabError, match="is missing"):
        loop.run(prove(silent_for_too_long(tmp_path), seed=1, report=steps.append))
    assert lab.asked == []
    assert steps == []


def test_nothing_to_run_says_what_is_missing(tmp_path: Path) -> None:
    folder = small_stack.write(tmp_path)
    (folder / "infra" / "main.tf").unlink()
    with pytest.raises(LabError) as raised:
        loop.run(prove(small_stack.load(folder), seed=1))
    assert raised.value.message.startswith("there is no target to run: ")
    assert "keepalign check" in raised.value.hint


def test_several_targets_are_named(tmp_path: Path) -> None:
    folder = small_stack.write(tmp_path)
    terraform = folder / "infra" / "main.tf"
    head, _, service = terraform.read_text().partition('resource "aws_ecs_service" "main"')
    second = service.replace('"small"', '"other"')
    terraform.write_text(
        f'{head}resource "aws_ecs_service" "main"{service}resource "aws_ecs_service" "second"{second}'
    )
    with pytest.raises(LabError) as raised:
        loop.run(prove(small_stack.load(folder), seed=1))
    assert "(small, other)" in raised.value.message
    assert raised.value.hint == "give the folders of one service"


def test_fix_that_no_file_can_hold_is_told_by_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = silent_for_too_long(tmp_path)
    found, _ = prepare(loaded)
    elsewhere = Plan(tuple(replace(c, setting=replace(c.setting, site=None)) for c in found.plan.changes))
    monkeypatch.setattr(proof, "repair", lambda *_: replace(found, plan=elsewhere, changed={}))
    with pytest.raises(UnsolvablePath) as raised:
        prepare(loaded)
    assert raised.value.message == (
        "idle_timeout of aws_lb.main would have to become 120 s, and no file among those given sets it"
    )
    assert "by hand" in raised.value.hint


def test_declared_clients_are_left_out_of_a_proof(tmp_path: Path) -> None:
    """Nothing of them runs, and what they do wrong is cured in no file."""
    before, _ = prepare(silent_for_too_long(tmp_path))
    declared = tmp_path / "keepalign.toml"
    declared.write_text(declared.read_text() + '\n[clients.app]\npool_idle = "900s"\n')
    loaded = small_stack.load(tmp_path)
    assert all(path.clients for path in loaded.stack.paths)
    repaired, after = prepare(loaded)
    assert repaired.plan == before.plan
    assert {finding.hop for finding in repaired.before.findings} == {
        finding.hop for finding in before.before.findings
    }
    assert not repaired.after.findings
    assert {finding.hop for finding in rules.check(after.stack).findings} == {"app"}


# What follows runs real servers, for a few seconds each.


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less load than a proof has, and just enough."""
    monkeypatch.setattr(traffic, "_LENGTH", (Duration.of(s=4), Duration.of(s=4)))
    monkeypatch.setattr(traffic, "_DEPLOY_AT", (Duration.of(s=1), Duration.of(s=1)))


@pytest.mark.lab
@pytest.mark.usefixtures("short")
def test_silence_that_the_balancer_cuts_is_seen_and_cured(tmp_path: Path) -> None:
    loaded = silent_for_too_long(tmp_path / "stack")
    proven = loop.run(prove(loaded, seed=1, folder=tmp_path / "runs"))
    (row,) = proven.proof.rows
    assert proven.proof.faults == ()
    assert row.verdict is Verdict.SEEN
    assert row.before.errors == row.before.exposed >= 60
    assert row.after.errors == 0
    assert row.after.exposed >= 60
    assert proven.proof.stand_ins == (("stand-in-8000", "no container of the task serves it"),)
    assert not any(folder.exists() for folder in proven.folders)


@pytest.mark.lab
@pytest.mark.usefixtures("short")
def test_connections_closed_too_early_are_seen_and_cured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More bursts than a proof has: K runs as 100 ms.
    monkeypatch.setattr(traffic, "_LENGTH", (Duration.of(s=6), Duration.of(s=6)))
    loaded = small_stack.load(small_stack.write(tmp_path / "stack", keep_alive_s=6))
    proven = loop.run(prove(loaded, seed=1, folder=tmp_path / "runs"))
    (row,) = proven.proof.rows
    assert row.cause == STALE
    assert proven.proof.faults == ()
    assert row.verdict is Verdict.SEEN
    assert row.before.errors >= 5
    assert row.after.errors == 0
    assert min(row.before.exposed, row.after.exposed) >= 60
    assert row.in_life is not None


@pytest.mark.lab
@pytest.mark.usefixtures("short")
def test_hidden_cause_is_shown_when_its_edits_are_taken_back(tmp_path: Path) -> None:
    loaded = silent_for_too_long(tmp_path / "stack", timeout_s=40)
    proven = loop.run(prove(loaded, seed=1, folder=tmp_path / "runs"))
    (row,) = (row for row in proven.proof.rows if row.cause == LB_IDLE)
    assert proven.proof.faults == ()
    assert row.verdict is Verdict.HIDDEN
    assert row.before.errors == 0
    assert row.taken_back is not None
    assert row.taken_back.errors == row.taken_back.exposed >= 60
    assert row.after.errors == 0
    assert "behind proxy-read-below-app-timeout" in row.why
    assert [row.cause for row in proven.proof.rows if row.before.errors] == ["proxy-read-below-app-timeout"]
