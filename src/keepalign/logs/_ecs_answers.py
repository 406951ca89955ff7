"""What ECS answers, as far as it is used (ECS API reference, under the names of the calls)."""

from __future__ import annotations

from datetime import datetime

from keepalign.logs.session import CamelRecord


class Event(CamelRecord):
    """What a service tells of itself."""

    created_at: datetime
    message: str


class Target(CamelRecord):
    """A target group, and the container that is registered in it."""

    target_group_arn: str = ""
    container_name: str = ""


class Service(CamelRecord):
    """As DescribeServices has it."""

    status: str = ""
    task_definition: str = ""
    launch_type: str = ""
    load_balancers: tuple[Target, ...] = ()
    events: tuple[Event, ...] = ()


class Failure(CamelRecord):
    """Why something was not described."""

    reason: str = ""


class Services(CamelRecord):
    """Of DescribeServices."""

    services: tuple[Service, ...] = ()
    failures: tuple[Failure, ...] = ()


class TaskArns(CamelRecord):
    """Of ListTasks."""

    task_arns: tuple[str, ...] = ()


class Detail(CamelRecord):
    """Of an attachment."""

    name: str = ""
    value: str = ""


class Attachment(CamelRecord):
    """A network interface, among others."""

    details: tuple[Detail, ...] = ()


class Interface(CamelRecord):
    """Of a container."""

    private_ipv4_address: str = ""
    ipv6_address: str = ""


class Container(CamelRecord):
    """One of a task."""

    name: str = ""
    exit_code: int | None = None
    reason: str = ""
    network_interfaces: tuple[Interface, ...] = ()


class Task(CamelRecord):
    """As DescribeTasks has it."""

    task_arn: str
    attachments: tuple[Attachment, ...] = ()
    containers: tuple[Container, ...] = ()
    stop_code: str = ""
    stopped_reason: str = ""
    stopping_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None

    @property
    def id(self) -> str:
        """Without dashes, as in events."""
        return self.task_arn.rpartition("/")[2].replace("-", "")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Private ones; none for tasks on the network of their instance."""
        found = [
            one.value
            for attachment in self.attachments
            for one in attachment.details
            if one.name in ("privateIPv4Address", "privateIPv6Address")
        ]
        for container in self.containers:
            for card in container.network_interfaces:
                found += [card.private_ipv4_address, card.ipv6_address]
        return tuple(dict.fromkeys(address for address in found if address))


class Tasks(CamelRecord):
    """Of DescribeTasks."""

    tasks: tuple[Task, ...] = ()


class Stop(CamelRecord):
    """A container, as defined."""

    name: str = ""
    stop_timeout: int | None = None


class Definition(CamelRecord):
    """Its containers."""

    container_definitions: tuple[Stop, ...] = ()


class Defined(CamelRecord):
    """Of DescribeTaskDefinition."""

    task_definition: Definition
