from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from tests.reports import subjects
from tests.rules import stacks

from keepalign import fix, rules
from keepalign.model.finding import Undecided
from keepalign.model.path import Unjoined
from keepalign.model.source import SourceText
from keepalign.readers._reader import Note
from keepalign.reports import terminal
from keepalign.reports._lines import WIDTH, Line, hidden, plain, shortener
from keepalign.reports.terminal import Cure


def lines_of(text: str) -> list[Line]:
    built = stacks.parse(text)
    mended = fix.repair(built.stack, built.sources, built.reread)
    failed = {finding: error.message for finding, error in mended.unsolved.items()}
    cure = Cure(mended.plan.changes, fix.diffs_of(mended, built.sources), failed)
    return terminal.report(built.stack, rules.check(built.stack), built.sources, cure)


def test_story_is_told_in_full() -> None:
    assert plain(lines_of(stacks.STORY)) == snapshot("""\
orders /
  client → aws_lb.this (AWS ALB) → httpd (Apache httpd 2.4) → api (gunicorn
  27.0.1)

  response  each hop waits longer than what is behind it takes
  ✓ aws_lb.this  idle_timeout              60 s  ████████ stack.conf:1
  ✗ httpd        Timeout                   20 s  ███      stack.conf:3
  ✗ api          timeout                   30 s  ████     stack.conf:4
  · declared     longest_silence           25 s  ███      keepalign.toml
  · declared     longest_request           45 s  ██████   keepalign.toml
    httpd gives up first, after 20 s: 502 sent by httpd

  idle      who receives requests keeps the connection open longer
  · aws_lb.this  idle_timeout              60 s  ████████ stack.conf:1
  ✗ httpd        KeepAliveTimeout           5 s  █░░░░░░░ stack.conf:2
    aws_lb.this → httpd: httpd closes first: 502 sent by aws_lb.this when a
    request is on its way
    api (gunicorn, sync workers) closes every connection after its response:
    nothing is re-used

  shutdown  requests in flight end before their target does
  · declared     longest_request           90 s  ████████ keepalign.toml
  ✗ target group deregistration_delay       0 s           stack.conf:5
    requests in flight are cut at every deploy: 502

orders /reports
  client → aws_lb.this (AWS ALB) → httpd (Apache httpd 2.4) → reports (gunicorn
  27.0.1)

  response  each hop waits longer than what is behind it takes
  ✗ aws_lb.this  idle_timeout              60 s  ██       stack.conf:1
  ✓ httpd        ProxyPass timeout=       300 s  ████████ stack.conf:6
  ✓ reports      timeout                  100 s  ███      stack.conf:7
  · declared     longest_silence           90 s  ██       keepalign.toml
  · declared     longest_request           90 s  ██       keepalign.toml
    aws_lb.this gives up first, after 60 s: 504 sent by aws_lb.this

  idle      who receives requests keeps the connection open longer
  · aws_lb.this  idle_timeout              60 s  ████████ stack.conf:1
  ✗ httpd        KeepAliveTimeout           5 s  █░░░░░░░ stack.conf:2
    aws_lb.this → httpd: httpd closes first: 502 sent by aws_lb.this when a
    request is on its way
    reports (gunicorn, sync workers) closes every connection after its response:
    nothing is re-used

  shutdown  requests in flight end before their target does
  · declared     longest_request           90 s  ████████ keepalign.toml
  ✗ target group deregistration_delay       0 s           stack.conf:5
    requests in flight are cut at every deploy: 502

high: httpd closes idle connections that aws_lb.this still re-uses
  [backend-keepalive-below-lb-idle] on orders /, orders /reports; confidence
  high
  --> stack.conf:2:26
  |
2 | httpd.KeepAliveTimeout = 5
  |                          ^ httpd closes an idle connection after 5 s
  |
  ::: stack.conf:1:28
  |
1 | aws_lb.this.idle_timeout = 60
  |                            -- aws_lb.this re-uses it for up to 60 s
  |
  = why:     5 s < 60 s: httpd (KeepAliveTimeout) closes 55 s before aws_lb.this
             (idle_timeout) stops re-using the connection
  = you see: 502 sent by aws_lb.this, now and then, when a request is sent on a
             connection that httpd has just closed after 5 s without a request
  = fix:
      --- a/stack.conf
      +++ b/stack.conf
      @@ -1,3 +1,3 @@
       aws_lb.this.idle_timeout = 60
      -httpd.KeepAliveTimeout = 5
      +httpd.KeepAliveTimeout = 150
       httpd.Timeout = 20
  = now, without a deploy:
      aws elbv2 modify-load-balancer-attributes \\
          --load-balancer-arn "$ALB_ARN" \\
          --attributes Key=idle_timeout.timeout_seconds,Value=4
      cost: every response silent for 4 s or longer ends in a 504 of
            aws_lb.this; of the declared ones that cuts /search (25 s), /reports
            (90 s). ALB_ARN: the ARN of aws_lb.this
      undo:
      aws elbv2 modify-load-balancer-attributes \\
          --load-balancer-arn "$ALB_ARN" \\
          --attributes Key=idle_timeout.timeout_seconds,Value=60

high: aws_lb.this gives up on /reports before the answer comes
  [lb-idle-below-response-time] on orders /reports; confidence high
  --> stack.conf:1:28
  |
1 | aws_lb.this.idle_timeout = 60
  |                            ^^ aws_lb.this gives up after 60 s without a byte
  |
  ::: /reports: silent for up to 90 s (keepalign.toml)
  = why:     60 s < 90 s: aws_lb.this (idle_timeout) gives up 30 s too early;
             /reports: silent for up to 90 s
  = you see: 504 sent by aws_lb.this, every time a response stays silent for
             60 s, the application being still at work
  = fix:
      --- a/stack.conf
      +++ b/stack.conf
      @@ -1,2 +1,2 @@
      -aws_lb.this.idle_timeout = 60
      +aws_lb.this.idle_timeout = 120
       httpd.KeepAliveTimeout = 5
  = now, without a deploy:
      aws elbv2 modify-load-balancer-attributes \\
          --load-balancer-arn "$ALB_ARN" \\
          --attributes Key=idle_timeout.timeout_seconds,Value=120
      cost: idle connections are then re-used for up to 120 s, while httpd
            closes them after 5 s: more 502s until its keep-alive timeout is
            raised as well. ALB_ARN: the ARN of aws_lb.this
      undo:
      aws elbv2 modify-load-balancer-attributes \\
          --load-balancer-arn "$ALB_ARN" \\
          --attributes Key=idle_timeout.timeout_seconds,Value=60

high: httpd gives up on /search before the answer comes
  [proxy-read-below-app-timeout] on orders /; confidence high
  --> stack.conf:3:17
  |
3 | httpd.Timeout = 20
  |                 ^^ httpd gives up after 20 s without a byte
  |
  ::: /search: silent for up to 25 s (keepalign.toml)
  = why:     20 s < 25 s: httpd (Timeout) gives up 5 s too early; /search:
             silent for up to 25 s
  = you see: 502 sent by httpd, every time a response stays silent for 20 s, the
             application being still at work; to aws_lb.this it is the target's
             own answer
  = fix:
      --- a/stack.conf
      +++ b/stack.conf
      @@ -2,3 +2,3 @@
       httpd.KeepAliveTimeout = 5
      -httpd.Timeout = 20
      +httpd.Timeout = 30
       api.timeout = 30

high: api cuts /exports off in the middle of the response
  [response-cut-by-total-timeout] on orders /; confidence high
  --> stack.conf:4:15
  |
4 | api.timeout = 30
  |               ^^ api kills a worker that is at work for 30 s
  |
  ::: /exports: up to 45 s (keepalign.toml)
  = why:     30 s < 45 s: api (timeout) kills the worker 15 s before /exports is
             done
  = you see: 200 sent by api, with a body cut short, every time a response still
             streams 30 s to 31.2 s after it was taken up; no log shows a 5xx
  = fix:
      --- a/stack.conf
      +++ b/stack.conf
      @@ -3,3 +3,3 @@
       httpd.Timeout = 20
      -api.timeout = 30
      +api.timeout = 50
       aws_lb.this.deregistration_delay = 0

high: requests in flight are cut at every deploy
  [deregistration-below-longest-request] on orders /, orders /reports;
  confidence high
  --> stack.conf:5:36
  |
5 | aws_lb.this.deregistration_delay = 0
  |                                    ^
  |    a target that is taken away loses its connections at once
  |
  ::: /reports: up to 90 s (keepalign.toml)
  = why:     0 s < 90 s: deregistration_delay ends 90 s before /reports is done
  = you see: 502 sent by aws_lb.this, at every deploy and scale-in, for every
             request in flight on a target that is taken away
  = fix:
      --- a/stack.conf
      +++ b/stack.conf
      @@ -4,3 +4,3 @@
       api.timeout = 30
      -aws_lb.this.deregistration_delay = 0
      +aws_lb.this.deregistration_delay = 120
       httpd.ProxyPass timeout= = 300
  = now, without a deploy:
      aws elbv2 modify-target-group-attributes \\
          --target-group-arn "$TARGET_GROUP_ARN" \\
          --attributes Key=deregistration_delay.timeout_seconds,Value=120
      cost: each batch of a deploy waits the whole 120 s. TARGET_GROUP_ARN: the
            ARN of the target group
      undo:
      aws elbv2 modify-target-group-attributes \\
          --target-group-arn "$TARGET_GROUP_ARN" \\
          --attributes Key=deregistration_delay.timeout_seconds,Value=0

5 findings (5 high) on 2 request paths.
`keepalign fix` with the same arguments prints all edits as one diff.
""")


def test_clean_story_ends_in_one_line() -> None:
    built = stacks.parse(stacks.STORY)
    mended = fix.repair(built.stack, built.sources, built.reread)
    clean = built.reread(mended.changed)
    text = plain(terminal.report(clean, rules.check(clean), built.sources, Cure()))
    assert "✗" not in text
    assert text.endswith("0 findings on 2 request paths.\n")


def test_what_is_not_joined_comes_first_and_what_is_unknown_last() -> None:
    built = stacks.parse(stacks.STORY)
    span = built.sources[stacks.FILE].span(0, 4)
    stack = replace(
        built.stack, unjoined=(Unjoined("target group admin", span, "give its service's folder"),)
    )
    result = rules.check(stack)
    result = replace(
        result, undecided=(Undecided("some-cause", "orders /", "httpd", "it is dark", "a lamp"),)
    )
    notes = [Note(span, "a module that is not here")]
    text = plain(terminal.report(stack, result, built.sources, Cure(), notes))
    places = [
        text.index(part) for part in ("Read, but on no", "orders /\n", "high: ", "Unknown:", "5 findings")
    ]
    assert places == sorted(places)
    assert "? target group admin (stack.conf:1): give its service's folder" in text
    assert "? some-cause, orders /: it is dark\n    → a lamp" in text
    assert "? stack.conf:1: a module that is not here" in text
    assert "2 unknown, 1 not joined" in text


def test_fix_that_was_not_found_is_said_beside_its_finding() -> None:
    longer = 'silence = "5000s", request = "5000s"'
    text = plain(lines_of(stacks.STORY.replace('silence = "90s", request = "90s"', longer)))
    assert text.count("= fix:     none found: idle_timeout of aws_lb.this would have to be above") == 1
    assert "an ALB waits no longer than 4000 s" in " ".join(text.split())
    assert "`keepalign fix` with the same arguments prints all edits" in text


def test_setting_that_nobody_may_edit_is_told_by_hand() -> None:
    text = plain(lines_of(stacks.STORY.replace('"60s"', '"by hand 60s"')))
    assert "= fix:     by hand: set idle_timeout of aws_lb.this to 120 s (--in-front;" in text
    assert "· aws_lb.this  idle_timeout              60 s  ████████ --in-front\n" in text


VALUES = st.sampled_from(
    ["1s", "5s", "60s", "1500ms", "4000s", "default 60s", "off", "unlimited", "unknown: x"]
)


@given(
    idle=VALUES, keep=VALUES, delay=VALUES,
    name=st.sampled_from(["httpd", "a-container-with-quite-a-long-name-that-does-not-fit"]),
)  # fmt: skip
def test_report_stays_within_80_columns(idle: str, keep: str, delay: str, name: str) -> None:
    text = (
        stacks.STORY.replace('"60s"', f'"{idle}"')
        .replace('server_idle = "5s"', f'server_idle = "{keep}"')
        .replace('deregistration_delay = "0s"', f'deregistration_delay = "{delay}"')
        .replace('"httpd"', f'"{name}"')
    )
    assert max(len(line) for line in plain(lines_of(text)).splitlines()) <= WIDTH


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_show_is_plain_for_a_pipe_and_says_the_same_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    pipe, screen = io.StringIO(), Screen()
    lines = lines_of(stacks.STORY)
    terminal.show(lines, pipe)
    terminal.show(lines, screen)
    assert "\x1b" not in pipe.getvalue()
    assert "\x1b[1;31m" in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    grey = Screen()
    terminal.show(lines, grey)
    assert "\x1b[31m" not in grey.getvalue()
    assert "\x1b[1;31m" not in grey.getvalue()


def test_fix_summary_names_every_change_and_what_was_checked() -> None:
    built = stacks.parse(stacks.STORY)
    mended = fix.repair(built.stack, built.sources, built.reread)
    text = plain(terminal.fix_summary(Cure(mended.plan.changes), mended.after, written=False))
    assert text.count("  · ") == 5
    assert text.endswith(
        "Would change 5 settings; with these values the check finds nothing.\n"
        "Nothing was written; --write does it.\n"
    )
    assert "Changed 5 settings" in plain(
        terminal.fix_summary(Cure(mended.plan.changes), mended.after, written=True)
    )


def test_fix_summary_says_what_stays_unknown() -> None:
    built = stacks.parse(stacks.STORY)
    mended = fix.repair(built.stack, built.sources, built.reread)
    unknown = Undecided("some-cause", "orders /", "httpd", "it is a variable", "give its value")
    after = replace(mended.after, undecided=(unknown,))
    text = plain(terminal.fix_summary(Cure(mended.plan.changes), after, written=False))
    assert "unknown before and after: 1 comparison." in " ".join(text.split())


@pytest.mark.parametrize(
    ("files", "common", "shown"),
    [
        (["a/b/x.tf", "a/c/y.conf"], "a", "b/x.tf:1"),
        (["x.tf"], "", "x.tf:1"),
        (["/r/x.tf", "y.conf"], "", "/r/x.tf:1"),
    ],
)
def test_places_are_told_below_the_folder_that_all_files_share(
    files: list[str], common: str, shown: str
) -> None:
    found, short = shortener(files)
    assert found == common
    assert short(SourceText(files[0], b"x").span(0, 1)) == shown


def test_what_is_suppressed_or_gone_is_told_before_the_summary() -> None:
    subject = subjects.full()
    text = plain(
        terminal.report(subject.stack, subject.result, subject.sources, Cure(), subject.notes, subject.gate)
    )
    assert "  = made by: stack.conf:1: a word option of httpd: 60 s → 5 s\n" in text
    assert text[text.index("Suppressed:") :] == snapshot("""\
Suppressed:
  · deregistration-below-longest-request, orders /: a word because
    (stack.conf:1, until 2027-01-31)
  · deregistration-below-longest-request, orders /: in the baseline

Of the baseline gone; write it again:
  ✓ lb-idle-below-response-time on a word hop, 2 times (main.tf)

4 findings (4 high) on 2 request paths, 2 suppressed, 2 of the baseline gone, 3
unknown, 1 not joined.
""")


def test_what_is_gone_since_a_revision_is_told_by_its_name() -> None:
    subject = subjects.full()
    gate = replace(subject.gate, base="main", unchanged=3, suppressed=())
    text = plain(terminal.report(subject.stack, subject.result, subject.sources, Cure(), (), gate))
    assert "Gone since main:\n  ✓ lb-idle-below-response-time on a word hop, 2 times (main.tf)\n" in text
    assert "4 new findings (4 high) on 2 request paths, 3 as in main, 2 gone since main, 1" in text


def test_fix_that_finds_no_edit_says_so() -> None:
    result = rules.check(stacks.parse(stacks.STORY).stack)
    assert plain(terminal.fix_summary(Cure(), result, written=False)) == (
        "No edit cures 5 findings; `keepalign check` says what does.\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web: SECRET=hunter2 gunicorn --keep-alive 5", "web: SECRET=••••••• gunicorn --keep-alive 5"),
        ('  "dbPassword": "hunter2", "idle": 60', '  "dbPassword": "•••••••", "idle": 60'),
        ("url = postgres://u:hunter2@db/x", "url = postgres://u:•••••••@db/x"),
        ("ProxyPass / http://127.0.0.1:8000/ timeout=60", "ProxyPass / http://127.0.0.1:8000/ timeout=60"),
        ("server.keepAliveTimeout = 65", "server.keepAliveTimeout = 65"),
    ],
)
def test_what_looks_like_a_credential_is_shown_as_dots(text: str, shown: str) -> None:
    assert hidden(text) == shown


@pytest.mark.timeout(10)
def test_long_words_take_time_as_they_are_long() -> None:
    assert hidden("a" * 1_000_000) == "a" * 1_000_000
