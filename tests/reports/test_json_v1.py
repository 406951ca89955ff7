from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from tests.reports import subjects
from tests.rules import stacks

from keepalign import fix, rules
from keepalign.model.finding import Undecided
from keepalign.model.path import Unjoined
from keepalign.model.source import Edit, edited
from keepalign.readers._reader import Note
from keepalign.reports import json_v1


def rendered(text: str) -> dict[str, Any]:
    built = stacks.parse(text)
    mended = fix.repair(built.stack, built.sources, built.reread)
    data: dict[str, Any] = json.loads(json_v1.render(built.stack, mended.before, mended.plan.changes))
    return data


def test_finding_of_the_story_has_every_promised_field() -> None:
    report = rendered(stacks.STORY)
    assert report["schema"] == 1
    assert [f["cause"] for f in report["findings"]] == [
        "backend-keepalive-below-lb-idle",
        "lb-idle-below-response-time",
        "proxy-read-below-app-timeout",
        "response-cut-by-total-timeout",
        "deregistration-below-longest-request",
    ]
    assert report["findings"][1] == snapshot(
        {
            "cause": "lb-idle-below-response-time",
            "title": "aws_lb.this gives up on /reports before the answer comes",
            "severity": "high",
            "confidence": "high",
            "ladder": "response",
            "symptom": {
                "status": "504",
                "sent_by": "aws_lb.this",
                "text": "every time a response stays silent for 60 s, the application being still at work",
            },
            "arithmetic": (
                "60 s < 90 s: aws_lb.this (idle_timeout) gives up 30 s too early;"
                " /reports: silent for up to 90 s"
            ),
            "hop": "aws_lb.this",
            "path": "orders /reports",
            "paths": ["orders /reports"],
            "locations": [
                {
                    "file": "stack.conf",
                    "line": 1,
                    "column": 28,
                    "label": "aws_lb.this gives up after 60 s without a byte",
                },
                {
                    "file": None,
                    "line": None,
                    "column": None,
                    "label": "/reports: silent for up to 90 s (keepalign.toml)",
                },
            ],
            "margin_s": -30.0,
            "fix": [
                {
                    "hop": "aws_lb.this",
                    "option": "idle_timeout",
                    "value_s": 120.0,
                    "why": "longer than the longest silence behind it",
                    "edits": [
                        {"file": "stack.conf", "line": 1, "column": 28, "start": 27, "end": 29, "text": "120"}
                    ],
                    "cost": "a request that hangs is given up after 120 s",
                    "safe": True,
                }
            ],
            "mitigation": {
                "command": (
                    'aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$ALB_ARN"'
                    " --attributes Key=idle_timeout.timeout_seconds,Value=120"
                ),
                "cost": (
                    "idle connections are then re-used for up to 120 s, while httpd closes them after 5 s:"
                    " more 502s until its keep-alive timeout is raised as well."
                    " ALB_ARN: the ARN of aws_lb.this"
                ),
                "undo": (
                    'aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$ALB_ARN"'
                    " --attributes Key=idle_timeout.timeout_seconds,Value=60"
                ),
            },
            "fingerprint": "",
            "flipped_by": [],
        }
    )
    assert report["summary"] == snapshot(
        {
            "paths": 2,
            "high": 5,
            "medium": 0,
            "low": 0,
            "info": 0,
            "ok": 19,
            "unknown": 0,
            "unjoined": 0,
            "suppressed": 0,
        }
    )


def test_path_of_the_story_has_hops_with_settings_and_origins() -> None:
    path = rendered(stacks.STORY)["paths"][0]
    assert [hop["product"] for hop in path["hops"]] == ["aws_alb", "apache_httpd", "gunicorn"]
    assert path["hops"][1]["settings"][0] == snapshot(
        {
            "role": "server_idle",
            "option": "KeepAliveTimeout",
            "kind": "explicit",
            "value": 5.0,
            "unit": "s",
            "origin": {
                "kind": "file",
                "note": "",
                "source": "",
                "via": [
                    {
                        "what": "httpd.KeepAliveTimeout",
                        "place": {"file": "stack.conf", "line": 2, "column": 26},
                    }
                ],
            },
            "reason": "",
        }
    )
    assert path["hops"][1]["settings"][2] == snapshot(
        {
            "role": "upstream_pool_idle",
            "option": "ProxyPass ttl=",
            "kind": "unlimited",
            "value": None,
            "unit": "s",
            "origin": {"kind": "default", "note": "documented default", "source": "", "via": []},
            "reason": "",
        }
    )


def test_what_is_unknown_or_not_joined_is_in_the_report() -> None:
    built = stacks.parse(stacks.STORY)
    span = built.sources[stacks.FILE].span(0, 4)
    stack = replace(built.stack, unjoined=(Unjoined("target group admin", None, "its folder"),))
    result = replace(rules.check(stack), undecided=(Undecided("c", "p", "h", "why", "what", span),))
    report = json.loads(json_v1.render(stack, result, (), [Note(span, "a module")]))
    jsonschema.validate(report, json.loads(json_v1.schema()))
    assert [u["cause"] for u in report["unknown"]] == ["c", None]
    assert report["unknown"][0]["place"] == {"file": "stack.conf", "line": 1, "column": 1}
    assert report["unjoined"] == [{"what": "target group admin", "missing": "its folder", "place": None}]
    assert (report["summary"]["unknown"], report["summary"]["unjoined"]) == (2, 1)


def test_what_is_suppressed_gone_or_flipped_is_in_the_report() -> None:
    subject = subjects.full()
    data = json_v1.render(subject.stack, subject.result, subject.cure.changes, gate=subject.gate)
    report = json.loads(data)
    jsonschema.validate(report, json.loads(json_v1.schema()))
    first = report["findings"][0]
    assert first["fingerprint"] == "0" * 32
    assert first["flipped_by"] == [
        {
            "hop": "httpd",
            "option": "a word option",
            "old": "60 s",
            "new": "5 s",
            "place": {"file": "stack.conf", "line": 1, "column": 1},
        }
    ]
    comment, baseline = report["suppressed"]
    assert comment["finding"]["cause"] == "deregistration-below-longest-request"
    assert (comment["by"], comment["reason"], comment["until"]) == ("comment", "a word because", "2027-01-31")
    assert (baseline["by"], baseline["until"], baseline["place"]) == ("baseline", None, None)
    assert report["gone"][0]["count"] == 2
    assert report["summary"]["suppressed"] == 2
    assert len(report["findings"]) == 4


def test_additions_are_optional_in_the_schema() -> None:
    """A report of an earlier release, without them, is still a report."""
    subject = subjects.story()
    report = json.loads(json_v1.render(subject.stack, subject.result))
    for name in ("suppressed", "gone", "base", "unchanged"):
        del report[name]
    del report["summary"]["suppressed"]
    for finding in report["findings"]:
        del finding["fingerprint"], finding["flipped_by"]
    jsonschema.validate(report, json.loads(json_v1.schema()))


def test_all_edits_of_the_report_together_are_the_fix() -> None:
    # In order behind 60 s; the balancer's longer idle timeout takes it along.
    story = stacks.STORY.replace('server_idle = "5s"', 'server_idle = "75s"')
    report = rendered(story)
    changes = [fix for finding in report["findings"] for fix in finding["fix"]] + report["also"]
    assert {(c["hop"], c["option"]) for c in report["also"]} == {("httpd", "KeepAliveTimeout")}
    built = stacks.parse(story)
    spans = built.sources[stacks.FILE]
    edits = [Edit(spans.span(e["start"], e["end"]), e["text"]) for c in changes for e in c["edits"]]
    mended = fix.repair(built.stack, built.sources, built.reread)
    assert edited(spans.data, edits) == mended.changed[stacks.FILE]


def test_why_there_is_no_fix_is_in_the_report() -> None:
    built = stacks.parse(stacks.STORY)
    data = json_v1.render(built.stack, rules.check(built.stack), fix_failed="it takes at most 4000 s")
    assert json.loads(data)["fix_failed"] == "it takes at most 4000 s"
    assert rendered(stacks.STORY)["fix_failed"] == ""


@given(
    value=st.sampled_from(["5s", "1500ms", "default 60s", "off", "unlimited", "unknown: x", "by hand 5s"]),
    role=st.sampled_from(["server_idle", "upstream_read", "handler_timeout"]),
)
def test_every_kind_of_setting_validates_against_the_schema(value: str, role: str) -> None:
    text = re.sub(rf'{role} = "[^"]*"', f'{role} = "{value}"', stacks.STORY, count=1)
    assert value in text
    jsonschema.validate(rendered(text), json.loads(json_v1.schema()))
