"""The report of `diagnose` for people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from tests.logs.judgements import judged, scanned
from tests.logs.lines import B, line
from tests.logs.pasted import diagnose

from keepalign.logs.alb import EXAMPLE
from keepalign.logs.objects import Skipped
from keepalign.logs.paste import Reading, read, scanned_of
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Bin, Diagnosis, Interrupted, Minutes
from keepalign.model.finding import Confidence
from keepalign.model.observation import Candidate, Judged, Timers
from keepalign.reports._lines import WIDTH, plain
from keepalign.reports.diagnosis import common_folder, harmless, over_time, percent, report, when
from keepalign.units import Duration, Instant


def diagnosis_of(*lines: str, timers: Timers = Timers()) -> Diagnosis:  # noqa: B008 # frozen
    reading = Reading()
    read([text.encode("utf-8", "surrogatepass") for text in lines], file="-", into=reading)
    return diagnose(reading, timers)


def text_of(diagnosis: Diagnosis) -> str:
    return plain(report(diagnosis, expected=EXAMPLE))


STALE = [line("0.002 0.001 -1 502 -", at=100 + 60 * n, sent_bytes=277) for n in range(2)]


def test_report_is_told_in_full() -> None:
    lines = [
        "$ grep -v ' 200 ' access.log",
        *STALE,
        line("0.002 0.000 -1 502 -", at=400, sent_bytes=277, target=B),
        line(
            "0.001 -1 -1 504 -", at=300, elapsed=60.002, request="GET http://example.com:80/reports HTTP/1.1"
        ),
        "",
        line("0.001 0.020 0.000 200 200", at=301),
    ]
    reading = Reading()
    read([text.encode() for text in lines], file="-", into=reading)
    tally = Tally()
    for row in reading.rows:
        if row.elb_status == 502:
            also = Candidate("target-closed-mid-request", f"logs and exit code of {row.target}: a crash?")
            why = ("target_processing_time 0.001 s: it ended before any work", "sent_bytes 277: its own page")
            tally.add(Judged(row, "backend-keepalive-below-lb-idle", Confidence.HIGH, why, (also,)))
        elif row.elb_status == 504:
            tally.add(Judged(row, "lb-idle-below-response-time", Confidence.HIGH, ("no answer in 60.001 s",)))
    found = tally.diagnosis([scanned_of(reading, "-")], complete=False)
    assert text_of(found) == snapshot("""\
3 of 4 errors (confidence high): the balancer sent a request on an idle
connection that the target was just closing. Raise the targets' keep-alive
timeout above 60 s, to 90 s. 1 more cause below.

backend-keepalive-below-lb-idle
  3 errors (3 × 502), confidence high
  when      2026-11-22 10:01:40.000 to 2026-11-22 10:06:40.000 UTC
  targets   10.0.0.1:80 (2), 10.0.0.2:80 (1)
  paths     /orders (3)
  line      2: GET http://example.com:80/orders?id=1 HTTP/1.1 → 0.002 0.001 -1
            502 -
  evidence  · target_processing_time 0.001 s: it ended before any work
            · sent_bytes 277: its own page
  cure      make the target keep idle connections longer than the balancer's
            idle timeout of 60 s (Apache KeepAliveTimeout, nginx
            keepalive_timeout, gunicorn keepalive, Node keepAliveTimeout); raise
            the target first, and leave the balancer as it is.
  order     1. Raise the targets' keep-alive timeout and deploy them; wait until
            the last old target is gone.
            2. Only then may the balancer's idle timeout grow: a longer one
            makes more of these errors before.
  now       nothing without a deploy: 1 request waited for the whole idle
            timeout already, and a shorter one would cut more
  unlikely  target-closed-mid-request
  next      keepalign explain backend-keepalive-below-lb-idle
            keepalign check PATH --in-front aws-alb:idle_timeout=60s

lb-idle-below-response-time
  1 error (504), confidence high
  when      2026-11-22 10:05:00.000 UTC
  targets   10.0.0.1:80
  line      5: GET http://example.com:80/reports HTTP/1.1 → 0.001 -1 -1 504 -
  evidence  · no answer in 60.001 s
  means     the target took the request and stayed silent until the balancer's
            idle timeout of 60 s was over.
  cure      make the application answer sooner; or raise the targets' keep-alive
            timeout, and after that the balancer's idle_timeout, above the
            longest silence of the application.
  change    raise the balancer's idle_timeout (now 60 s) above the application's
            longest silence, and the targets' keep-alive timeout before it
  order     1. Raise the targets' keep-alive timeout above the new idle timeout
            and deploy them, to the last one.
            2. Then raise the balancer's idle timeout; it holds at once.
  now       nothing without a deploy: a longer idle timeout would make more of
            what is backend-keepalive-below-lb-idle
  next      keepalign explain lb-idle-below-response-time
            keepalign check PATH --in-front aws-alb:idle_timeout=60s

Noted:
  · idle timeout of the balancer: 60 s, read off one line; --idle-timeout
    overrules it

Not understood:
  ? line 1, column 1: no type and time of an ALB access log line in it
    $ grep -v ' 200 ' access.log
  Expected lines of an ALB access log as they are, for example:
    http 2026-11-22T10:00:00.123456Z app/my-lb/50dc6c495c0c9188 192.0.2.7:40001…

7 lines: 4 errors judged, 1 answered without error, 1 not understood, 1 blank.
""")


@pytest.mark.parametrize(
    ("lines", "first", "last"),
    [
        ([], "No ALB access log line could be read.", "0 lines: 0 errors judged, 0 not understood."),
        (["x"], "No ALB access log line could be read.", "1 line: 0 errors judged, 1 not understood."),
        (
            [line("0.001 0.020 0.000 200 200")] * 2,
            "No error among these lines.",
            "2 lines: 0 errors judged, 2 answered without error, 0 not understood.",
        ),
    ],
)
def test_report_without_errors_says_so(lines: list[str], first: str, last: str) -> None:
    told = text_of(diagnosis_of(*lines)).splitlines()
    assert told[0] == first
    assert told[-1] == last


def test_first_sentence_names_the_commonest_cause() -> None:
    told = text_of(diagnosis_of(*STALE, timers=Timers(Duration.of(s=60), Duration.of(s=5))))
    told = told.replace("idle\nconnection", "idle connection")
    assert told.startswith("Both errors (confidence high): the balancer sent a request on an idle connection")
    assert "idle timeout of 60 s" in told
    assert "keepalign check PATH --in-front aws-alb:idle_timeout=60s" in told
    assert "keepalign explain backend-keepalive-below-lb-idle" in told


def test_failures_come_before_refusals() -> None:
    refused = [line("-1 -1 -1 400 -", at=100 + n, target="-") for n in range(5)]
    found = diagnosis_of(*refused, STALE[0])
    assert [group.cause for group in found.groups] == [
        "backend-keepalive-below-lb-idle",
        "lb-refused-request",
    ]
    assert not diagnosis_of(*refused).failed
    assert found.failed


def test_many_targets_and_rejected_lines_are_cut_short() -> None:
    lines = [line("0.001 0.000 -1 502 -", at=100 + n, target=f"10.0.0.{n}:80") for n in range(7)]
    told = text_of(diagnosis_of(*lines, *(f"nonsense {n}" for n in range(6))))
    assert "and 3 more" in told
    assert "nonsense 2" in told
    assert "nonsense 3" not in told
    assert "  and 3 more\n" in told


def test_causes_after_the_third_have_a_line() -> None:
    causes = [
        "backend-keepalive-below-lb-idle",
        "target-closed-mid-request",
        "target-connection-refused",
        "target-generated-error",
        "no-healthy-targets",
    ]
    tally = Tally()
    for n, cause in enumerate(causes):
        for minute in range(5 - n):
            tally.add(judged(cause, minute=minute))
    told = text_of(tally.diagnosis([]))
    assert "\ntarget-connection-refused\n" in told
    assert "\ntarget-generated-error\n" not in told
    assert "Also: (in full with --format json, markdown or html)\n" in told
    assert "  · target-generated-error: 2 errors (2 × 502), confidence high\n" in told
    assert "  · no-healthy-targets: 1 error (502), confidence high\n" in told


def test_what_would_decide_is_told_where_the_cause_is_not_certain() -> None:
    others = [Candidate(f"other-{n}", f"is it number {n}?") for n in range(5)]
    for confidence, asked in ((Confidence.HIGH, 0), (Confidence.MEDIUM, 3)):
        tally = Tally()
        tally.add(judged(confidence=confidence, candidates=tuple(others)))
        told = text_of(tally.diagnosis([]))
        assert told.count("is it number") == asked
        assert "  unlikely  other-" + ("0, other-1" if not asked else "3, other-4") in told


def test_one_certain_error_does_not_make_the_others_certain() -> None:
    other = Candidate("other", "is it another?")
    tally = Tally()
    for n, confidence in enumerate((Confidence.HIGH, Confidence.MEDIUM, Confidence.MEDIUM)):
        tally.add(judged(minute=n, confidence=confidence, candidates=(other,)))
    assert "  or        · other: is it another?\n" in text_of(tally.diagnosis([]))


def test_each_sentence_of_a_list_begins_with_a_mark() -> None:
    tally = Tally()
    tally.add(judged(evidence=("long " * 20, "short")))
    told = text_of(tally.diagnosis([])).splitlines()
    at = next(n for n, text in enumerate(told) if text.startswith("  evidence  · long"))
    assert told[at + 1].startswith(" " * 14 + "long")
    assert told[at + 2] == " " * 12 + "· short"


def test_errors_of_one_instant_have_one_time() -> None:
    tally = Tally()
    for target in "12":
        tally.add(judged(target=f"10.0.0.{target}:80"))
    assert "  when      1970-01-01 00:00:00.000 UTC\n" in text_of(tally.diagnosis([]))


def test_time_of_the_log_is_told_where_other_errors_were_asked_for() -> None:
    found = Tally().diagnosis([scanned({(1, B): (5, 2), (3, B): (5, 0)})])
    assert "\n12 requests from 1970-01-01 00:01 to 1970-01-01 00:03 UTC\n" in text_of(found)
    assert "1970" not in text_of(Tally().diagnosis([scanned({(1, B): (5, 0)})]))


def test_pasted_lines_have_no_number_of_requests_and_no_chart_of_a_few() -> None:
    found = diagnosis_of(*(line("0.001 4.200 -1 502 -", at=100 + 90 * n) for n in range(12)))
    assert not found.complete
    assert "From 2026-11-22 10:01 to 2026-11-22 10:18 UTC\n" in text_of(found)
    few = text_of(diagnosis_of(*(line("0.001 4.200 -1 502 -", at=100 + 900 * n) for n in range(4))))
    assert " at most " not in few
    assert "  pattern   " not in few


def test_mixed_confidence_is_counted() -> None:
    tally = Tally()
    for n, confidence in enumerate((Confidence.HIGH, Confidence.MEDIUM, Confidence.HIGH, Confidence.HIGH)):
        tally.add(judged(minute=n, confidence=confidence))
    assert "4 errors (4 × 502), confidence high (3), medium (1)" in text_of(tally.diagnosis([]))


def test_logs_of_a_folder_are_named_below_it() -> None:
    names = [f"s3://logs/AWSLogs/1/{name}.log.gz" for name in "ab"]
    tally = Tally()
    tally.add(replace(judged(), row=replace(judged().row, file=names[1], line=7)))
    found = tally.diagnosis([scanned({(1, B): (5, n)}, name=name) for n, name in enumerate(names)])
    told = text_of(found)
    assert "Logs below s3://logs/AWSLogs/1/\n" in told
    assert "  at        b.log.gz:7\n" in told
    assert "\nFiles: 2 of 2 understood to the last line\n" in told


def test_only_files_with_something_to_say_are_listed() -> None:
    objects = [scanned({(1, B): (5, 0)}, name=f"logs/{n:02d}.log") for n in range(30)]
    objects[20].rejected_lines = objects[20].lines = 3
    told = text_of(Tally().diagnosis(objects, skipped=[Skipped("logs/conn_log.1.gz", "ALB connection log")]))
    assert "  20.log\n    3 lines: 0 errors, 5 fine, 3 not understood\n" in told
    assert "  conn_log.1.gz\n    not read: ALB connection log\n" in told
    assert "Files: 29 of 31 understood to the last line\n" in told
    assert "00.log" not in told


def test_interrupted_run_is_marked_before_anything_else() -> None:
    told = text_of(replace(diagnosis_of(*STALE), partial=Interrupted(62, 100)))
    assert told.startswith("Interrupted: 62 % of the bytes were read, and what follows is of those.\n\n")
    assert text_of(replace(diagnosis_of(), partial=Interrupted())).startswith("Interrupted: a part was read")


def test_errors_over_time_keep_their_number() -> None:
    parts = [Minutes(1, (Bin(0, 3), Bin(59, 4), Bin(119, 5))), Minutes(5, (Bin(60, 7),)), Minutes()]
    for number in (1, 7, 60, 500):
        found, length = over_time(parts, 0, 119, number)
        assert [sum(numbers) for numbers in found] == [12, 7, 0]
        assert len(found[0]) <= number
        assert length % 5 == 0


def test_common_folder_is_of_whole_names() -> None:
    assert common_folder(["a/bc/x", "a/bd/y"]) == "a/"
    assert common_folder(["/a/x", "/a/b/y"]) == "/a/"
    assert common_folder(["x", "y"]) == ""
    assert common_folder(["a/x"]) == common_folder([]) == ""


def test_share_has_two_digits_that_count() -> None:
    shares = [percent(part, 100_000) for part in (0, 1, 31, 6500, 65_000, 100_000)]
    assert shares == ["0 %", "0.0010 %", "0.031 %", "6.5 %", "65 %", "100 %"]
    assert percent(1, 0) == ""


def test_bodies_that_may_have_been_cut_are_told() -> None:
    note = "a body that was cut short is no error in this log"
    fine = line("0.001 0.020 0.000 200 200")
    assert note in text_of(diagnosis_of(fine))
    assert note in text_of(diagnosis_of(fine, line("0.001 4.200 -1 502 -")))
    assert note not in text_of(diagnosis_of(fine, *STALE))


def test_times_are_in_utc() -> None:
    assert when(Instant(1_795_341_662_500_999)) == "2026-11-22 10:01:02.500"
    assert when(Instant(-1), digits=6) == "1969-12-31 23:59:59.999999"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert harmless(text).isprintable()
    assert harmless("plain €") == "plain €"


@given(
    st.lists(
        st.text() | st.text(max_size=30).map(lambda t: line("0.001 4.2 -1 502 -", request=t.replace('"', "")))
    )
)
def test_any_lines_make_a_report_of_80_columns(lines: list[str]) -> None:
    lines = [text.replace("\n", " ") for text in lines]
    told = text_of(diagnosis_of(*lines))
    assert all(part.isprintable() for part in told.split("\n"))
    # Words longer than a line stay whole; nothing else is wider.
    # A command goes on behind a backslash.
    assert all(
        len(part) <= WIDTH or " " not in part[12:].removesuffix(" \\").strip() for part in told.split("\n")
    )
