"""How errors lie in time, each pattern beside what only looks like it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.logs.judgements import MINUTE_US, minutes

from keepalign.logs.patterns import ENOUGH, pattern, percent
from keepalign.model.diagnosis import NO_MINUTES, Deployed, Minutes, When
from keepalign.units import Duration, Instant

DAY = 1440
FLAT = minutes((minute, 10) for minute in range(3 * DAY))


def deployed(*at: int, known: bool = True) -> list[Deployed]:
    return [
        Deployed(Instant(one * MINUTE_US), Instant((one + 3) * MINUTE_US), 2, "events.json", known)
        for one in at
    ]


def kind(errors: Minutes, requests: Minutes = FLAT, deployments: list[Deployed] | None = None) -> When:
    return pattern(errors, requests, deployments or []).when


def test_few_errors_show_no_pattern() -> None:
    found = pattern(minutes([(5, ENOUGH - 1)]), FLAT, [])
    assert (found.when, found.text) == (When.TOO_FEW, "7 errors are too few for a pattern")
    assert pattern(minutes([(5, 1)]), FLAT, []).text == "1 error is too few for a pattern"
    assert kind(minutes([(5, ENOUGH)])) is not When.TOO_FEW


def test_errors_of_one_moment_are_a_burst() -> None:
    found = pattern(minutes([(100, 30), (102, 10), (900, 2)]), FLAT, [])
    assert found.when is When.BURST
    assert found.text == "one burst: 40 of 42 within 3 minutes from 1970-01-01 01:40 UTC on"


def test_burst_needs_a_log_that_goes_on_around_it() -> None:
    short = minutes((minute, 10) for minute in range(100, 120))
    assert kind(minutes([(100, 30)]), short) is not When.BURST
    assert kind(minutes([(100, 30)]), NO_MINUTES) is not When.BURST


def test_burst_of_traffic_is_no_burst_of_errors() -> None:
    traffic = minutes([*((minute, 1) for minute in range(500)), (600, 9000)])
    assert kind(minutes([(600, 90), (3, 1)]), traffic) is not When.BURST


def test_errors_after_deployments_go_with_them() -> None:
    errors = minutes([(at + n, 3) for at in (700, 2100, 3500) for n in range(1, 9)])
    found = pattern(errors, FLAT, deployed(700, 2100, 3500))
    assert found.when is When.DEPLOYS
    assert found.text.startswith(
        "with deployments: 72 of 72 during 3 of 3 known deployments, which saw 1.0 %"
    )
    assert "3 inferred deployments" in pattern(errors, FLAT, deployed(700, 2100, 3500, known=False)).text
    # A third of the errors beside them is too much.
    assert kind(errors, FLAT, deployed(700, 2100)) is not When.DEPLOYS


def test_errors_at_all_times_do_not_go_with_deployments() -> None:
    errors = minutes((minute, 1) for minute in range(0, 3 * DAY, 20))
    assert kind(errors, FLAT, deployed(700, 2100)) is not When.DEPLOYS
    # Where deployments cover the whole log they explain nothing.
    assert kind(errors, FLAT, deployed(*range(0, 3 * DAY, 10))) is not When.DEPLOYS


def test_errors_at_equal_distances_are_periodic() -> None:
    for period in (30, 60, 77):
        errors = minutes((minute, 4) for minute in range(7, 2 * DAY, period))
        found = pattern(errors, FLAT, [])
        assert (found.when, found.period) == (When.PERIODIC, Duration.of(s=60 * period)), period
    every = pattern(minutes((minute, 4) for minute in range(7, 2 * DAY, 60)), FLAT, [])
    assert every.text == "periodic: every 1 hour, 48 times from 1970-01-01 00:07 UTC on"


def test_period_forgives_a_minute_and_a_missed_turn() -> None:
    shift = (0, 1, 0, 0, 1, 0, 1, 0)
    errors = minutes((60 * n + shift[n % 8], 3) for n in range(24) if n != 11)
    assert pattern(errors, FLAT, []).period == Duration.of(s=3600)


def test_scattered_errors_are_not_periodic() -> None:
    scattered = [(n * n * 37) % (2 * DAY) for n in range(1, 40)]
    assert kind(minutes((minute, 2) for minute in sorted(set(scattered)))) is not When.PERIODIC


def test_errors_of_the_night_are_told_with_their_hours() -> None:
    errors = minutes(
        (DAY * day + 60 * hour + n, 1) for day in range(3) for hour in (2, 3) for n in (1, 2, 3, 17, 18, 40)
    )
    found = pattern(errors, FLAT, [])
    assert found.when is When.HOURS
    assert found.text.startswith("at certain hours: 36 of 36 from 02:00 to 04:00 UTC, on 3 days")


def test_hours_may_go_over_midnight() -> None:
    errors = minutes(
        (DAY * day + minute, 2) for day in (0, 1) for minute in (1380, 1383, 1391, 1441, 1450, 1455)
    )
    assert "from 23:00 to 01:00 UTC, on 2 days" in pattern(errors, FLAT, []).text


def test_one_night_is_no_habit() -> None:
    errors = minutes((120 + n, 1) for n in (1, 2, 3, 17, 18, 40, 41, 66, 71, 90))
    assert kind(errors) is not When.HOURS


def test_errors_at_little_traffic_are_told() -> None:
    traffic = minutes((minute, 5 if minute // 7 % 2 else 100) for minute in range(DAY))
    errors = minutes((minute, 1) for minute in range(0, DAY, 5) if minute // 7 % 2)
    assert kind(errors, traffic) is When.QUIET


def test_one_crash_in_a_quiet_minute_is_no_habit_of_quiet_times() -> None:
    requests = minutes((n, 10 if 10 <= n < 20 else 100) for n in range(20))
    at_once = pattern(minutes([(12, 90), (13, 60)]), requests, ())
    assert at_once.when is When.IRREGULAR
    spread = pattern(minutes((n, 15) for n in range(10, 20)), requests, ())
    assert spread.when is When.QUIET


def test_errors_that_follow_the_traffic_are_steady() -> None:
    traffic = minutes((minute, 10 + minute // 60) for minute in range(DAY))
    errors = minutes((minute, 1) for minute in range(DAY) if (minute * 7919) % (100 - minute // 20) < 8)
    found = pattern(errors, traffic, [])
    assert found.when is When.STEADY
    assert found.text.startswith("steady: it goes with the traffic")


def test_what_fits_nothing_is_irregular() -> None:
    errors = minutes([(100, 30), (130, 1), (900, 50), (2000, 60), (2003, 11), (4000, 4)])
    assert kind(errors) is When.IRREGULAR


histograms = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(1, 50)), max_size=50, unique_by=lambda pair: pair[0]
).map(minutes)


@given(histograms.filter(lambda found: bool(found.bins)), histograms, st.lists(st.integers(0, 5000)))
def test_any_histogram_has_a_pattern(errors: Minutes, requests: Minutes, at: list[int]) -> None:
    found = pattern(errors, requests, deployed(*sorted(at)))
    assert found.text
    assert (found.period is not None) == (found.when is When.PERIODIC)
    assert (errors.total < ENOUGH) == (found.when is When.TOO_FEW)


def test_share_has_two_digits_that_count() -> None:
    shares = (0, 1, 0.995, 0.65, 0.0651, 0.00031, 0.000012)
    assert [percent(share) for share in shares] == [
        "0 %",
        "100 %",
        "over 99 %",
        "65 %",
        "6.5 %",
        "0.031 %",
        "0.0012 %",
    ]
