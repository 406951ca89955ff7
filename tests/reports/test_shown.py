"""What a scenario came to, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace

from inline_snapshot import snapshot
from jsonschema import Draft202012Validator

from keepalign.model.shown import Failure, Shown, ShownRun
from keepalign.reports import shown_v1
from keepalign.reports._lines import plain
from keepalign.reports.shown import comparison, listing, report
from keepalign.units import Duration

CAUSE = "stop-timeout-below-drain"
BROKEN = ShownRun(
    "broken",
    (CAUSE,),
    1204,
    (
        Failure(CAUSE, 5, ("502", "cut"), "its target was killed 939 ms after the request was sent"),
        Failure("unexplained", 1, ("502",), "the target ended the body early, after 1.0 s"),
    ),
    1,
    Duration.of(s=4.7),
)
FIXED = ShownRun("fixed", (), 1204, (), 0, Duration.of(s=4.7))
SHOWN = Shown(
    slug=CAUSE,
    title="SIGKILL comes before running requests are done",
    says="A Spot interruption takes a task away, and its requests with it.",
    shows="502",
    server="uvicorn",
    servers=("uvicorn 0.54.0",),
    factor=60,
    round_trip=Duration.of(ms=1),
    seed=1,
    runs=(BROKEN, FIXED),
    faults=(),
)


def test_report_has_both_runs_and_the_verdict() -> None:
    assert plain(report([SHOWN])) == snapshot("""\
stop-timeout-below-drain on uvicorn 0.54.0
  A Spot interruption takes a task away, and its requests with it.
  all times divided by 60; round trip 1 ms, not scaled; seed 1

            requests  failed  by
  broken       1,204       6  stop-timeout-below-drain, unexplained
  fixed        1,204       0
  broken: 502, cut × 5, for example: its target was killed 939 ms after the
          request was sent
  broken: 502 × 1, for example: the target ended the body early, after 1.0 s
  broken: 1 process was killed (SIGKILL) when the stop timeout was over
  broken: check finds stop-timeout-below-drain
  fixed: check finds nothing

✓ It fails as check predicts, and the cure ends it.
""")


def test_report_of_several_runs_counts_them() -> None:
    other = replace(
        SHOWN, seed=2, runs=(replace(BROKEN, failures=(replace(BROKEN.failures[0], count=9),)), FIXED)
    )
    assert plain(report([SHOWN, SHOWN, other])) == snapshot("""\
stop-timeout-below-drain on uvicorn 0.54.0
  A Spot interruption takes a task away, and its requests with it.
  all times divided by 60; round trip 1 ms, not scaled; seeds 1 to 2

            runs  with errors   errors: least / median / most
  broken       3            3                       5 / 5 / 9
  fixed        3            0                       0 / 0 / 0

✓ It fails as check predicts, and the cure ends it.
""")


def test_report_names_what_the_scenario_does_not_show() -> None:
    text = plain(report([replace(SHOWN, faults=("no process of the broken stack had to be killed",))]))
    assert "✗ This is not what the scenario says:\n  - no process of the broken stack" in text
    assert "✓" not in text


def test_comparison_stands_two_stacks_beside_one_another() -> None:
    sides = [
        (f"{CAUSE}@uvicorn", replace(SHOWN, runs=(BROKEN,))),
        (f"{CAUSE}:fixed", replace(SHOWN, runs=(FIXED,))),
    ]
    assert plain(comparison(sides)) == snapshot("""\
        requests  failed    share  killed  by
  A        1,204       6    0.50%       1  stop-timeout-below-drain, unexplained
  B        1,204       0    0.00%       0

  A: stop-timeout-below-drain@uvicorn (uvicorn 0.54.0; all times divided by 60;
     round trip 1 ms, not scaled; seed 1); check finds stop-timeout-below-drain
  B: stop-timeout-below-drain:fixed (uvicorn 0.54.0; all times divided by 60;
     round trip 1 ms, not scaled; seed 1); check finds nothing
""")


def test_listing_names_what_users_see() -> None:
    assert plain(listing([(CAUSE, "title", ("502", "cut", "kill"), ("nginx", "uvicorn"))])) == snapshot("""\
stop-timeout-below-drain  502, a body cut short, SIGKILL
  title
  on nginx, uvicorn
""")


def test_lines_fit_into_eighty_columns() -> None:
    lines = [*report([SHOWN]), *comparison([("x" * 30, replace(SHOWN, runs=(BROKEN,)))])]
    assert all(len(line) <= 80 for line in plain(lines).splitlines())


def test_json_is_what_its_schema_says() -> None:
    document = json.loads(shown_v1.render([SHOWN]))
    Draft202012Validator(json.loads(shown_v1.schema())).validate(document)
    (scenario,) = document["scenarios"]
    assert document["schema"] == 1
    assert (scenario["cause"], scenario["holds"], scenario["faults"]) == (CAUSE, True, [])
    broken, fixed = scenario["runs"]
    assert (broken["failed"], fixed["failed"], broken["killed"]) == (6, 0, 1)
    assert broken["failures"][0]["statuses"] == ["502", "cut"]
    assert scenario["round_trip_s"] == 0.001
