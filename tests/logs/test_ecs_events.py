"""Deployments out of what ECS, EventBridge, CloudTrail and people write."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import ReadError
from keepalign.logs import alb
from keepalign.logs.ecs_events import LARGEST, deployments, instant, read_events
from keepalign.model.observation import Deployment
from keepalign.units import Instant

GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/orders/73e2d6bc24d8a067"
DAY = "2026-10-09"


def event(name: str, time: str, message: str) -> dict[str, str]:
    """A service event (ECS guide, "Service event messages")."""
    return {"id": name, "createdAt": f"{DAY}T{time}+00:00", "message": f"(service orders{message}"}


SERVICE = {
    "services": [
        {
            "serviceName": "orders",
            "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY"}],
            "events": [
                event("e5", "22:06:00.000000", ") has reached a steady state."),
                event("e4", "22:05:34.385000", ") (deployment ecs-svc/4898) deployment completed."),
                event(
                    "e3", "22:04:42.522000", ", taskSet ecs-svc/1) has begun draining connections on 1 tasks."
                ),
                event("e2", "22:04:42.516000", f") deregistered 1 targets in (target-group {GROUP})"),
                event("e1", "22:03:42.269000", f") registered 1 targets in (target-group {GROUP})"),
            ],
        }
    ]
}
"""What `aws ecs describe-services` prints, newest event first."""


def task(status: str, time: str, **more: object) -> dict[str, object]:
    """A task state change (ECS guide, "Task state change events")."""
    detail: dict[str, object] = {
        "attachments": [
            {
                "id": "1789bcae-ddfb-4d10-8ebe-8ac87ddba5b8",
                "type": "eni",
                "status": "ATTACHED",
                "details": [
                    {"name": "subnetId", "value": "subnet-abcd1234"},
                    {"name": "privateIPv4Address", "value": "10.0.1.17"},
                ],
            }
        ],
        "containers": [{"name": "web", "networkInterfaces": [{"privateIpv4Address": "10.0.1.17"}]}],
        "desiredStatus": "STOPPED",
        "lastStatus": status,
        "group": "service:orders",
        "stopCode": "ServiceSchedulerInitiated",
        "stoppedReason": "Scaling activity initiated by (deployment ecs-svc/8646900195280463695)",
        "taskArn": "arn:aws:ecs:eu-central-1:123456789012:task/prod/c13b4cb4",
    }
    return {
        "version": "0",
        "id": f"3317b2af-{status}",
        "detail-type": "ECS Task State Change",
        "source": "aws.ecs",
        "time": time,
        "detail": detail | more,
    }


def trail(**more: object) -> dict[str, object]:
    """A DeregisterTargets event as CloudTrail records it (CloudTrail guide, "Record contents")."""
    return {
        "eventVersion": "1.08",
        "eventTime": "2026-11-22T10:00:05Z",
        "eventSource": "elasticloadbalancing.amazonaws.com",
        "eventName": "DeregisterTargets",
        "requestParameters": {
            "targetGroupArn": GROUP,
            "targets": [{"id": "10.0.1.17", "port": 80}, {"id": "10.0.1.18"}, {"id": "i-1234567890abcdef0"}],
        },
        "responseElements": None,
        "eventID": "5f7c9d2e",
    } | more


def at(text: str) -> Instant:
    """An instant of a log."""
    found = alb.instant(text)
    assert found is not None
    return found


def read(value: object) -> tuple[Deployment, ...]:
    """From a JSON document."""
    return deployments(json.dumps(value, indent=1).encode(), file="ev.json")


def test_service_events_give_the_times_of_removals() -> None:
    (found,) = read(SERVICE)
    assert (found.at, found.removed) == (at("2026-10-09T22:04:42.516Z"), ())
    line = int(found.source.removeprefix("ev.json:"))
    assert '"e2"' in json.dumps(SERVICE, indent=1).splitlines()[line - 1]


def test_task_is_taken_out_when_it_is_deactivating() -> None:
    events = [
        task("STOPPED", "2026-11-22T10:01:00Z", stoppingAt="2026-11-22T10:00:04.5Z"),
        task("DEACTIVATING", "2026-11-22T10:00:04Z"),
        task("RUNNING", "2026-11-22T09:00:00Z", desiredStatus="RUNNING"),
    ]
    (found,) = read(events)
    assert found.at == at("2026-11-22T10:00:04Z")
    assert found.removed == ("10.0.1.17",)
    assert found.source.startswith("ev.json:")


def test_task_that_stopped_was_taken_out_at_its_stopping() -> None:
    (found,) = read(task("STOPPED", "2026-11-22T10:01:00Z", stoppingAt="2026-11-22T10:00:04.5Z"))
    assert found.at == at("2026-11-22T10:00:04.5Z")
    described = task("STOPPED", "", stoppedAt=1763805604.5)["detail"]
    (found,) = read({"tasks": [described], "failures": []})
    assert found.at == Instant(1_763_805_604_500_000)


def test_task_that_no_service_started_is_no_removal() -> None:
    assert read(task("STOPPED", "2026-11-22T10:01:00Z", group="family:migrate")) == ()


def test_task_without_an_interface_of_its_own_gives_the_time() -> None:
    (found,) = read(task("STOPPED", "2026-11-22T10:01:00Z", attachments=[], containers=[{"name": "web"}]))
    assert found.removed == ()


def test_beginning_and_end_of_a_deployment_are_no_removals() -> None:
    change = {
        "id": "ddca6449",
        "detail-type": "ECS Deployment State Change",
        "source": "aws.ecs",
        "time": "2020-05-23T12:31:14Z",
        "detail": {"eventType": "INFO", "eventName": "SERVICE_DEPLOYMENT_COMPLETED"},
    }
    assert read([change]) == ()
    assert [one.at for one in read([change, trail()])] == [at("2026-11-22T10:00:05Z")]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: {"Records": [trail()]},
        lambda: {"Events": [{"EventName": "DeregisterTargets", "CloudTrailEvent": json.dumps(trail())}]},
        lambda: [{"detail-type": "AWS API Call via CloudTrail", "detail": trail()}],
        lambda: {"logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(trail())}]},
    ],
)
def test_deregistered_targets_are_named_as_the_log_does(wrap: Callable[[], object]) -> None:
    (found,) = read(wrap())
    assert found.at == at("2026-11-22T10:00:05Z")
    assert found.removed == ("10.0.1.17:80", "10.0.1.18")


def test_call_that_failed_took_nothing_out() -> None:
    assert read({"Records": [trail(errorCode="AccessDenied")]}) == ()


def test_lines_of_json_have_their_own_line() -> None:
    lines = [
        json.dumps(task("DEACTIVATING", "2026-11-22T10:00:04Z")),
        json.dumps(trail()),
        json.dumps({"detail-type": "ECS Service Action", "detail": {}}),
    ]
    found = deployments("\n".join(lines).encode(), file="ev.jsonl")
    assert [one.source for one in found] == ["ev.jsonl:1", "ev.jsonl:2"]


@pytest.mark.parametrize("separator", [",", "\t", ";", " ", ", "])
def test_table_by_hand_is_read(separator: str) -> None:
    rows = [
        ("time", "target"),
        ("2026-11-22T10:00:00Z", "10.0.0.1:80"),
        ("2026-11-22T10:00:00Z", "10.0.0.2"),
        ("2026-11-22T11:00:00+01:00", "2001:db8::7"),
        ("2026-11-22T10:05:00", "-"),
    ]
    text = "# by hand\n" + "\n".join(separator.join(row) for row in rows) + "\n\n2026-11-22 10:06:00\n"
    found = deployments(text.encode(), file="ev.csv")
    assert found == (
        Deployment(at("2026-11-22T10:00:00Z"), ("10.0.0.1:80", "10.0.0.2", "2001:db8::7"), "ev.csv:3"),
        Deployment(at("2026-11-22T10:05:00Z"), (), "ev.csv:6"),
        Deployment(at("2026-11-22T10:06:00Z"), (), "ev.csv:8"),
    )


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", None, "the file is empty"),
        ('{"a": 1}', 1, "no events that tell of targets"),
        ('[\n{"a": \n', 3, "no JSON"),
        ("[" * 100_000, 1, "nested too deep"),
        ("time,target\nsoon,10.0.0.1:80", 2, "begins with no time"),
        ("2026-11-22T10:00:00Z,web-1", 1, "'web-1' is no address of a target"),
        ("2015-05-13T23:39:43.9Z my-lb 192.0.2.1:1 10.0.0.1:80 0.0", 1, "'my-lb' is no address"),
    ],
)
def test_what_is_not_known_says_where_and_what_next(text: str, line: int | None, reason: str) -> None:
    with pytest.raises(ReadError, match=reason) as caught:
        deployments(text.encode(), file="ev.json")
    assert (caught.value.file, caught.value.line) == ("ev.json", line)
    assert "describe-services" in caught.value.hint


def test_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_events(tmp_path / "none.json")
    assert caught.value.file == str(tmp_path / "none.json")
    (tmp_path / "ev.csv").write_text("2026-11-22T10:00:00Z,10.0.0.1:80\n")
    assert len(read_events(tmp_path / "ev.csv")) == 1


@pytest.mark.parametrize(
    "value",
    [None, True, [], "", "soon", float("inf"), float("nan"), 10**400, -(10**18), "0001-01-01T00:00:00+23:59"],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert instant(value) is None


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_deployments_or_an_error(data: bytes) -> None:
    try:
        found = deployments(data, file="ev")
    except ReadError:
        return
    assert list(found) == sorted(found, key=lambda one: one.at)


_KEYS = (
    "services events tasks Records message createdAt detail-type detail time taskArn lastStatus desiredStatus"
    " attachments details containers networkInterfaces eventName eventSource eventTime requestParameters"
    " targets id CloudTrailEvent"
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS.split()), inner, max_size=6)
        | st.builds(trail, requestParameters=inner, eventTime=inner, errorCode=inner)
        | st.builds(task, st.just("STOPPED"), inner, attachments=inner, containers=inner, stoppingAt=inner)
    ),
    max_leaves=30,
)


@given(_JSON)
def test_any_json_beside_known_events_changes_nothing_of_them(value: object) -> None:
    found = deployments(json.dumps([value, SERVICE]).encode(), file="ev")
    assert read(SERVICE)[0].at in {one.at for one in found}


def test_file_may_be_packed_as_a_trail_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "events.json.gz"
    packed = gzip.compress(json.dumps(SERVICE).encode())
    path.write_bytes(packed)
    assert len(read_events(path)) == len(deployments(json.dumps(SERVICE).encode(), file="x"))
    path.write_bytes(packed[:-9])
    with pytest.raises(ReadError, match="the gzip stream breaks off at byte"):
        read_events(path)


def test_events_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.gz"
    path.write_bytes(gzip.compress(b"\n" * (LARGEST // 64), 1) * 65)
    with pytest.raises(ReadError, match="more than 256 MB"):
        read_events(path)
