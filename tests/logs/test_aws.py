"""What a live account says: deployments of an ECS service, timers of balancers and target groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from keepalign.errors import NoAccess, ReadError, UsageError
from keepalign.logs import session
from keepalign.logs.aws import Live, balancer_timers, deployments_of, service
from keepalign.logs.aws_options import AwsOptions
from keepalign.model.observation import Saw, Timers
from keepalign.units import Duration, Instant

REGION = "eu-central-1"
OPTIONS = AwsOptions(region=REGION, endpoint_url="http://127.0.0.1:9")
GROUP = f"arn:aws:elasticloadbalancing:{REGION}:123456789012:targetgroup/orders/555a47e25c5a1850"
_numbers = count(1)

Answer = Mapping[str, object]


def when(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-22T{text}").replace(tzinfo=UTC)


def at(text: str) -> Instant:
    return Instant(round(when(text).timestamp() * 1e6))


def event(text: str, message: str) -> Answer:
    return {"id": "1", "createdAt": when(text), "message": f"(service orders) {message}"}


def task(number: int, code: str = "ServiceSchedulerInitiated", **more: object) -> Answer:
    """A stopped one; its id is the number, its address ends in it."""
    return {
        "taskArn": f"arn:aws:ecs:{REGION}:123456789012:task/prod/{number:032x}",
        "attachments": [
            {
                "type": "ElasticNetworkInterface",
                "details": [
                    {"name": "subnetId", "value": "subnet-1"},
                    {"name": "privateIPv4Address", "value": f"10.0.0.{number}"},
                ],
            }
        ],
        "stopCode": code,
        "stoppedReason": "Scaling activity initiated by (deployment ecs-svc/1)",
        "stoppingAt": when("10:05:00"),
        "stoppedAt": when("10:06:00"),
        **more,
    }


@contextmanager
def ecs(events: Sequence[Answer] = (), tasks: Sequence[Answer] = (), **service: object) -> Iterator[Stubber]:
    """A client whose answers are checked against ECS's own model."""
    with Stubber(session.client("ecs", OPTIONS)) as stub:
        described = {"serviceName": "orders", "status": "ACTIVE", "events": list(events), **service}
        wanted = {"cluster": "prod", "services": ["orders"]}
        stub.add_response("describe_services", {"services": [described]}, wanted)
        arns = [one["taskArn"] for one in tasks]
        wanted_tasks = {"cluster": "prod", "serviceName": "orders", "desiredStatus": "STOPPED"}
        stub.add_response("list_tasks", {"taskArns": arns}, wanted_tasks)
        if arns:
            stub.add_response("describe_tasks", {"tasks": list(tasks)}, {"cluster": "prod", "tasks": arns})
        yield stub


@pytest.mark.usefixtures("aws_environment")
def test_a_deployment_is_when_the_balancer_is_told() -> None:
    """The texts and the nine seconds are those of hackforla/CivicTechJobs issue 436; newest first."""
    events = [
        event("10:00:30.5", "has reached a steady state."),
        event("10:00:09.059", f"deregistered 1 targets in (target-group {GROUP})"),
        event("10:00:00", f"has stopped 1 running tasks: (task {1:032x})."),
        event("09:59:00", f"registered 1 targets in (target-group {GROUP})"),
    ]
    with ecs(events, [task(1)]):
        live = service("prod/orders", OPTIONS)
    (one,) = live.deployments
    assert (one.at, one.removed) == (at("10:00:09.059"), ("10.0.0.1",))
    assert one.source.startswith("ECS service prod/orders, task 00000000: Scaling activity")
    assert live.notes == []


@pytest.mark.usefixtures("aws_environment")
def test_a_deployment_without_a_balancer_is_at_the_stop() -> None:
    events = [
        event("10:09:00", f"deregistered 1 targets in (target-group {GROUP})"),
        event("10:00:00", f"has stopped 2 running tasks: (task {1:032x}) (task {2:032x})."),
    ]
    with ecs(events, [task(2), task(1)]):
        found = service("prod/orders", OPTIONS).deployments
    assert [one.at for one in found] == [at("10:00:00")] * 2
    assert [one.removed for one in found] == [("10.0.0.1",), ("10.0.0.2",)]


@pytest.mark.usefixtures("aws_environment")
def test_tasks_that_ecs_forgot_are_told() -> None:
    events = [event("08:00:00", f"has stopped 2 running tasks: (task {1:032x}) (task {2:032x}).")]
    with ecs(events):
        live = service("prod/orders", OPTIONS)
    assert [(one.at, one.removed) for one in live.deployments] == [(at("08:00:00"), ())]
    assert "2 stopped tasks" in live.notes[0]
    assert "--events" in live.notes[0]


@pytest.mark.usefixtures("aws_environment")
def test_what_no_event_names_counts_by_its_stop_code() -> None:
    spot = task(3, "SpotInterruption", stoppingAt=when("10:30:00"))
    with ecs([], [spot, task(4, "EssentialContainerExited"), task(5, "TaskFailedToStart")]):
        live = service("prod/orders", OPTIONS)
    assert [(one.at, one.removed) for one in live.deployments] == [(at("10:30:00"), ("10.0.0.3",))]


@pytest.mark.usefixtures("aws_environment")
def test_a_kill_after_the_stop_timeout_is_said() -> None:
    killed = task(1, containers=[{"name": "app", "exitCode": 137}, {"name": "log", "exitCode": 0}])
    with ecs([], [killed]):
        (one,) = service("prod/orders", OPTIONS).deployments
    assert one.source.endswith("; app: exit code 137, killed when the stop timeout was over")


@pytest.mark.usefixtures("aws_environment")
def test_a_container_that_ends_by_itself_is_a_witness() -> None:
    containers = [
        {
            "name": "app",
            "exitCode": 137,
            "reason": "OutOfMemoryError: Container killed due to memory usage",
            "networkInterfaces": [{"privateIpv4Address": "10.0.0.7"}],
        },
        {"name": "proxy", "exitCode": 0},
    ]
    died = task(7, "EssentialContainerExited", containers=containers, executionStoppedAt=when("10:04:59"))
    with ecs([], [task(1), died]):
        live = service("prod/orders", OPTIONS)
    (one,) = live.testimonies
    assert (one.at, one.saw, one.target, one.line) == (at("10:04:59"), Saw.CRASHED, "10.0.0.7", 2)
    assert "OutOfMemoryError" in one.text


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize(
    ("launch", "stated", "stop"), [("FARGATE", 90, 90), ("FARGATE", None, 30), ("EC2", None, None)]
)
def test_the_stop_timeout_is_that_of_the_container_behind_the_balancer(
    launch: str, stated: int | None, stop: int | None
) -> None:
    target = {"targetGroupArn": GROUP, "containerName": "httpd", "containerPort": 80}
    httpd = {"name": "httpd"} if stated is None else {"name": "httpd", "stopTimeout": stated}
    answer = {"taskDefinition": {"containerDefinitions": [{"name": "app", "stopTimeout": 5}, httpd]}}
    with ecs([], [], loadBalancers=[target], taskDefinition="orders:7", launchType=launch) as stub:
        stub.add_response("describe_task_definition", answer, {"taskDefinition": "orders:7"})
        live = service("prod/orders", OPTIONS)
    expected = None if stop is None else Duration.of(s=stop)
    assert live.timers == {GROUP: Timers(stop_timeout=expected)}


@pytest.mark.usefixtures("aws_environment")
def test_a_service_that_is_not_there_is_told() -> None:
    with Stubber(session.client("ecs", OPTIONS)) as stub:
        stub.add_response("describe_services", {"services": [], "failures": [{"reason": "MISSING"}]})
        with pytest.raises(ReadError, match="MISSING") as caught:
            service("prod/orders", OPTIONS)
    assert caught.value.file == "ECS service prod/orders"
    assert "list-services --cluster prod" in caught.value.hint


@pytest.mark.usefixtures("aws_environment")
def test_a_service_that_may_not_be_described_names_the_action() -> None:
    with Stubber(session.client("ecs", OPTIONS)) as stub:
        stub.add_client_error("describe_services", "AccessDeniedException", "not authorized", 400)
        with pytest.raises(NoAccess) as caught:
            service("prod/orders", OPTIONS)
    assert "ecs:DescribeServices" in caught.value.hint


@pytest.mark.usefixtures("aws_environment")
def test_tasks_that_may_not_be_listed_are_a_note() -> None:
    events = [event("10:00:00", f"has stopped 1 running tasks: (task {1:032x}).")]
    with Stubber(session.client("ecs", OPTIONS)) as stub:
        stub.add_response("describe_services", {"services": [{"events": events}]})
        stub.add_client_error("list_tasks", "AccessDeniedException", "not authorized", 400)
        live = service("prod/orders", OPTIONS)
    assert len(live.deployments) == 1
    assert "ecs:ListTasks" in live.notes[0]


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize(
    "name", ["", "orders", "/orders", "prod/", "a/b/c", "prod/or ders", "prod/orders\n", "é/x"]
)
def test_a_name_that_is_no_service_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="CLUSTER/SERVICE"):
        service(name, OPTIONS)


def test_a_missing_region_is_told(aws: str) -> None:
    with pytest.raises(UsageError) as caught:
        service("prod/orders", AwsOptions(endpoint_url=aws))
    assert "--region" in caught.value.hint


def test_a_missing_cluster_is_told_by_the_service_itself(aws: str) -> None:
    with pytest.raises(ReadError, match=r"not there \(ClusterNotFoundException") as caught:
        service("nowhere/orders", AwsOptions(region=REGION, endpoint_url=aws))
    assert "--region" in caught.value.hint


@given(st.text(max_size=80), st.text(max_size=80))
def test_events_with_any_text_are_read(one: str, other: str) -> None:
    from keepalign.logs._ecs_answers import Event

    events = [
        Event(created_at=when("10:00:00"), message=f"has stopped 1 running tasks: {one}"),
        Event(created_at=when("10:00:05"), message=other),
    ]
    found, unknown = deployments_of("ECS service a/b", events, [])
    assert unknown == 0
    assert all(not deployment.removed for deployment in found)


# ── balancers and target groups, on moto ─────────────────────────────────────────────────────────────


class Stack:
    """A balancer with a target group, and the names a log has for them."""

    def __init__(self, url: str) -> None:
        self.options = AwsOptions(endpoint_url=url)
        ec2 = boto3.client("ec2", region_name=REGION, endpoint_url=url)
        subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]][:2]
        vpc = ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"]
        self.client = boto3.client("elbv2", region_name=REGION, endpoint_url=url)
        name = f"orders-{next(_numbers)}"
        balancer = self.client.create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]
        self.balancer = balancer["LoadBalancerArn"]
        self.elb = self.balancer.partition(":loadbalancer/")[2]
        group = self.client.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc)
        self.group = group["TargetGroups"][0]["TargetGroupArn"]

    def timers(self) -> Live:
        return balancer_timers([(self.elb, self.group), ("-", "-"), (self.elb, "")], self.options)


@pytest.fixture
def stack(aws: str) -> Stack:
    return Stack(aws)


def test_timers_are_read_for_what_the_log_names(stack: Stack) -> None:
    stack.client.modify_load_balancer_attributes(
        LoadBalancerArn=stack.balancer, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "120"}]
    )
    stack.client.modify_target_group_attributes(
        TargetGroupArn=stack.group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
    )
    live = stack.timers()
    stated = Timers(idle_timeout=Duration.of(s=120), deregistration_delay=Duration.of(s=0))
    assert live.timers == {stack.group: stated}
    assert live.notes == []


def test_what_is_gone_is_a_note(stack: Stack) -> None:
    stack.client.delete_load_balancer(LoadBalancerArn=stack.balancer)
    live = stack.timers()
    assert live.timers == {stack.group: Timers(deregistration_delay=Duration.of(s=300))}
    assert "idle timeout could not be read" in live.notes[0]
    stack.client.delete_target_group(TargetGroupArn=stack.group)
    assert stack.timers().timers == {}


def test_another_balancer_of_the_same_name_is_not_asked(stack: Stack) -> None:
    elb = stack.elb.rpartition("/")[0] + "/0000000000000000"
    live = balancer_timers([(elb, stack.group)], stack.options)
    assert live.timers[stack.group].idle_timeout is None
    assert "another one has this name" in live.notes[0]


@pytest.mark.usefixtures("aws_environment")
def test_timers_that_may_not_be_read_name_the_actions_once() -> None:
    others = [GROUP, GROUP.replace("orders", "users")]
    with Stubber(session.client("elbv2", OPTIONS)) as stub:
        stub.add_client_error("describe_load_balancers", "AccessDenied", "no", 403)
        stub.add_client_error("describe_target_group_attributes", "AccessDenied", "no", 403)
        stub.add_client_error("describe_target_group_attributes", "AccessDenied", "no", 403)
        live = balancer_timers([("app/shop/50dc6c495c0c9188", arn) for arn in others], OPTIONS)
    assert live.timers == {}
    assert [note.partition("; allow ")[2].partition(";")[0] for note in live.notes] == [
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
    ]


@pytest.mark.usefixtures("own_clients")
def test_nobody_who_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_ATTEMPTS", 1)
    with pytest.raises(ReadError, match="cannot be reached"):
        balancer_timers([("app/shop/50dc6c495c0c9188", GROUP)], AwsOptions(endpoint_url="http://127.0.0.1:1"))


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60)), max_size=5))
def test_foreign_names_are_never_asked_for(pairs: list[tuple[str, str]]) -> None:
    assert balancer_timers(pairs, AwsOptions(endpoint_url="http://127.0.0.1:1")) == Live()
