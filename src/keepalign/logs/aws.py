"""What a running AWS account says beside the logs: which targets were taken out and when, and the timers.

Read-only: nothing but Describe and List calls. What may not be asked for is a note, and the rest is told;
only what the user named himself (a service) is an error when it cannot be read.

An ECS service keeps its last hundred events, a stopped task is known for an hour (ECS API reference,
"DescribeServices", "DescribeTasks"). Its events name tasks, not addresses, so that both are needed.
"(service x) has stopped 1 running tasks: (task …)" comes first, "deregistered 1 targets in (target-group …)"
seconds later (9 s in hackforla/CivicTechJobs issue 436): the latter is when the balancer is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from keepalign.errors import KeepalignError, NoAccess, ReadError, UsageError
from keepalign.logs._aws_errors import Asked, code_of, denied
from keepalign.logs._ecs_answers import Defined, Event, Service, Services, Task, TaskArns, Tasks
from keepalign.logs.aws_options import AwsOptions
from keepalign.logs.session import Record, ask, pages
from keepalign.model.observation import Deployment, Saw, Testimony, Timers
from keepalign.units import Duration, Instant

STOP_TIMEOUT: Final = Duration.of(s=30)
"""Of a container on Fargate that states none (ECS API reference, "ContainerDefinition")."""
_SOON: Final = Duration.of(s=120)
"""A deregistration belongs to the stop so short before it."""
_TASKS: Final = 100
"""Tasks that one DescribeTasks answers."""
_GROUPS: Final = 100
"""Target groups whose attributes are asked for; a log of one balancer names a few."""
_KILLED: Final = 137
"""Exit code after SIGKILL: 128 + 9."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_STOPPED: Final = re.compile(r"has stopped \d+ running tasks?: (.+)", re.ASCII | re.DOTALL)
_TASK: Final = re.compile(r"\(task ([0-9a-f-]{32,36})\)", re.ASCII)
_DEREGISTERED: Final = re.compile(r"deregistered \d+ targets? in \(", re.ASCII)
_GROUP_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:([a-z0-9-]+):\d{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]+",
    re.ASCII,
)
_ELB: Final = re.compile(r"app/([A-Za-z0-9-]{1,32})/([0-9a-f]+)", re.ASCII)
_TAKEN_OUT: Final = frozenset(
    {
        "ServiceSchedulerInitiated",
        "UserInitiated",
        "SpotInterruption",
        "TerminationNotice",
        "InfrastructureHealth",
    }
)
"""Stop codes of tasks that ECS deregisters before it stops them (ECS developer guide, "Task lifecycle")."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Live:
    """What AWS said.

    Args:
        deployments: in time order; one of tasks that ECS no longer knows removes nothing that has a name.
        testimonies: of containers that ended by themselves, in time order.
        timers: by target group ARN. notes: what was not permitted, or not known any more.
    """

    deployments: tuple[Deployment, ...] = ()
    testimonies: tuple[Testimony, ...] = ()
    timers: dict[str, Timers] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _Attribute(Record):
    key: str = ""
    value: str = ""


class _Attributes(Record):
    attributes: tuple[_Attribute, ...] = ()

    def seconds(self, key: str) -> Duration | None:
        """None: it is not there, or no number."""
        text = next((one.value for one in self.attributes if one.key == key), "")
        return Duration.of(s=int(text)) if text.isascii() and text.isdecimal() and len(text) < 9 else None


class _Balancer(Record):
    load_balancer_arn: str


class _Balancers(Record):
    load_balancers: tuple[_Balancer, ...] = ()


# ── an ECS service ───────────────────────────────────────────────────────────────────────────────────


def service(name: str, options: AwsOptions) -> Live:
    """What `--ecs CLUSTER/SERVICE` says: its deployments, containers that failed, and its stop timeout.

    Raises: UsageError: `name` has not this form. NoAccess, ReadError: the service cannot be described.
    """
    cluster, slash, short = name.rpartition("/")
    if not (slash and _NAME.fullmatch(cluster) and _NAME.fullmatch(short)):
        raise UsageError(f"{name[:200]!r} is no CLUSTER/SERVICE", hint="aws ecs list-clusters, list-services")
    place = f"ECS service {name}"
    found = _described(cluster, short, place, options)
    live = Live()
    tasks: list[Task] = []
    try:
        tasks = list(_stopped_tasks(cluster, short, place, options))
    except NoAccess as error:
        live.notes.append(_without(error, "the addresses of the tasks that were stopped"))
    live.deployments, unknown = deployments_of(place, found.events, tasks)
    live.testimonies = testimonies_of(place, tasks)
    if unknown:
        live.notes.append(
            f"{place}: {unknown} stopped tasks are named in its events whose addresses ECS does not know any"
            " more (it keeps an hour); --events FILE takes the events that EventBridge kept"
        )
    live.timers = _stop_timers(found, place, options, live.notes)
    return live


def _described(cluster: str, short: str, place: str, options: AwsOptions) -> Service:
    asked = Asked("ecs:DescribeServices", place)
    answer = ask("ecs", "describe_services", options, Services, asked, cluster=cluster, services=[short])
    if not answer.services:
        reason = answer.failures[0].reason if answer.failures else "MISSING"
        hint = f"aws ecs list-services --cluster {cluster} names those that there are; is --region right?"
        raise ReadError(f"there is no such service ({reason})", file=place, hint=hint)
    return answer.services[0]


def _stopped_tasks(cluster: str, short: str, place: str, options: AwsOptions) -> Iterable[Task]:
    asked = Asked("ecs:ListTasks", place)
    arns: list[str] = []
    where = {"cluster": cluster, "serviceName": short, "desiredStatus": "STOPPED"}
    for page in pages("ecs", "list_tasks", options, TaskArns, asked, **where):
        arns += page.task_arns
    asked = Asked("ecs:DescribeTasks", place)
    for start in range(0, len(arns), _TASKS):
        some = arns[start : start + _TASKS]
        yield from ask("ecs", "describe_tasks", options, Tasks, asked, cluster=cluster, tasks=some).tasks


def deployments_of(
    place: str, events: Sequence[Event], tasks: Sequence[Task]
) -> tuple[tuple[Deployment, ...], int]:
    """When targets were taken out, by the service's events and its stopped tasks, and of how many tasks the
    addresses are not known.
    """
    known = {task.id: task for task in tasks}
    deregistered = sorted(_instant(one.created_at) for one in events if _DEREGISTERED.search(one.message))
    found: list[Deployment] = []
    told: set[str] = set()
    unknown = 0
    for event in events:
        stopped = _STOPPED.search(event.message)
        if stopped is None:
            continue
        ids = [word.replace("-", "") for word in _TASK.findall(stopped[1])]
        told.update(ids)
        at = _instant(event.created_at)
        at = next((other for other in deregistered if at <= other <= at + _SOON), at)
        here = [known[one] for one in ids if one in known]
        unknown += len(ids) - len(here)
        found += [_deployment(at, place, task) for task in here]
        if len(here) < len(ids):
            found.append(Deployment(at, (), f"{place}: {len(ids) - len(here)} tasks stopped"))
    for task in tasks:
        if task.id not in told and task.stop_code in _TAKEN_OUT and task.stopping_at is not None:
            found.append(_deployment(_instant(task.stopping_at), place, task))
    return tuple(sorted(found, key=lambda one: (one.at, one.removed))), unknown


def _deployment(at: Instant, place: str, task: Task) -> Deployment:
    why = task.stopped_reason or task.stop_code or "stopped"
    killed = [one.name for one in task.containers if one.exit_code == _KILLED]
    end = (
        f"; {', '.join(killed)}: exit code {_KILLED}, killed when the stop timeout was over" if killed else ""
    )
    return Deployment(at, task.addresses, f"{place}, task {task.id[:8]}: {why[:150]}{end}")


def testimonies_of(place: str, tasks: Sequence[Task]) -> tuple[Testimony, ...]:
    """Containers that ended without being asked to; `line` counts the stopped tasks."""
    found = []
    for number, task in enumerate(tasks, 1):
        ended = task.execution_stopped_at or task.stopping_at or task.stopped_at
        if task.stop_code != "EssentialContainerExited" or ended is None:
            continue
        for container in task.containers:
            if container.exit_code in (None, 0):
                continue
            text = f"task {task.id[:8]}, container {container.name}: exit code {container.exit_code}"
            text += f", {container.reason}" if container.reason else ""
            found += [
                Testimony(
                    file=place, line=number, server="ecs", at=_instant(ended), precision=Duration.of(s=1),
                    saw=Saw.CRASHED, text=text[:200], target=address,
                )
                for address in task.addresses or (None,)
            ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.at, one.line)))


def _stop_timers(found: Service, place: str, options: AwsOptions, notes: list[str]) -> dict[str, Timers]:
    """The stop timeout of the container behind each target group."""
    if not found.load_balancers or not found.task_definition:
        return {}
    asked = Asked("ecs:DescribeTaskDefinition", place)
    try:
        defined = ask(
            "ecs", "describe_task_definition", options, Defined, asked, taskDefinition=found.task_definition
        )
    except NoAccess as error:
        notes.append(_without(error, "the stop timeout"))
        return {}
    default = STOP_TIMEOUT if found.launch_type == "FARGATE" else None
    stated = {
        one.name: Duration.of(s=one.stop_timeout) if one.stop_timeout is not None else default
        for one in defined.task_definition.container_definitions
    }
    return {
        one.target_group_arn: Timers(stop_timeout=stated.get(one.container_name))
        for one in found.load_balancers
        if one.target_group_arn
    }


# ── balancers and target groups ──────────────────────────────────────────────────────────────────────


def balancer_timers(seen: Iterable[tuple[str, str]], options: AwsOptions) -> Live:
    """Idle timeouts and deregistration delays of what a log names: pairs of `elb` and target group ARN.

    The ARN's region is asked where `options` names none. What cannot be asked for is a note.
    Raises: KeepalignError: nothing at all could be asked: no credentials, no way to AWS.
    """
    live = Live()
    idle: dict[tuple[str, str], Duration | None] = {}
    asked_for = sorted({(elb, arn) for elb, arn in seen if _ELB.fullmatch(elb) and _GROUP_ARN.fullmatch(arn)})
    if len(asked_for) > _GROUPS:
        live.notes.append(f"AWS was asked for {_GROUPS} of {len(asked_for)} target groups of these logs")
    for elb, arn in asked_for[:_GROUPS]:
        match = _GROUP_ARN.fullmatch(arn)
        assert match is not None
        there = AwsOptions(options.profile, options.region or match[1], options.endpoint_url)
        if (elb, match[1]) not in idle:
            idle[elb, match[1]] = _idle_timeout(elb, there, live.notes)
        delay = _delay(arn, there, live.notes)
        if idle[elb, match[1]] is not None or delay is not None:
            live.timers[arn] = Timers(idle_timeout=idle[elb, match[1]], deregistration_delay=delay)
    return live


def _idle_timeout(elb: str, options: AwsOptions, notes: list[str]) -> Duration | None:
    """Of the balancer that a log calls app/NAME/ID."""
    name = elb.split("/")[1]
    place = f"load balancer {name}"
    try:
        asked = Asked("elasticloadbalancing:DescribeLoadBalancers", place)
        found = ask("elbv2", "describe_load_balancers", options, _Balancers, asked, Names=[name])
        arns = [
            one.load_balancer_arn for one in found.load_balancers if one.load_balancer_arn.endswith("/" + elb)
        ]
        if not arns:
            _note(notes, f"{place}: another one has this name now; its idle timeout is not that of the log's")
            return None
        asked = Asked("elasticloadbalancing:DescribeLoadBalancerAttributes", place)
        of = {"LoadBalancerArn": arns[0]}
        answer = ask("elbv2", "describe_load_balancer_attributes", options, _Attributes, asked, **of)
    except KeepalignError as error:
        _note(notes, _without(error, "the idle timeout"))
        return None
    return answer.seconds("idle_timeout.timeout_seconds")


def _delay(arn: str, options: AwsOptions, notes: list[str]) -> Duration | None:
    """A target group's deregistration delay."""
    place = f"target group {arn.split('/')[1]}"
    asked = Asked("elasticloadbalancing:DescribeTargetGroupAttributes", place)
    try:
        of = {"TargetGroupArn": arn}
        answer = ask("elbv2", "describe_target_group_attributes", options, _Attributes, asked, **of)
    except KeepalignError as error:
        _note(notes, _without(error, "the deregistration delay"))
        return None
    return answer.seconds("deregistration_delay.timeout_seconds")


def _without(error: KeepalignError, what: str) -> str:
    """What remains unknown, and why. Raises: `error`, when AWS was not reached, or knows nobody."""
    if not code_of(error.__cause__) or (isinstance(error, NoAccess) and not denied(error.__cause__)):
        raise error
    hint = f"; {error.hint}" if error.hint else ""
    # What is denied is denied for all of them: one note says so.
    place = "" if isinstance(error, NoAccess) or not isinstance(error, ReadError) else f"{error.file}: "
    return f"{place}{what} could not be read: {error.message}{hint}"


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)


def _instant(at: datetime) -> Instant:
    since = at.astimezone(UTC) - _EPOCH
    return Instant((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
