"""Small trees of configuration for the tests of the join."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from keepalign.model.path import RequestPath, Unjoined


def written(folder: Path, files: Mapping[str, str]) -> str:
    """The folder as a root, with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return str(folder)


def alb(label: str = "this", *, name: str = "", kind: str = "application", more: str = "") -> str:
    """An `aws_lb`."""
    return f"""
resource "aws_lb" "{label}" {{
  name               = "{name or label}"
  load_balancer_type = "{kind}"
  {more}
}}
"""


def listener(balancer: str, group: str, label: str = "http") -> str:
    """An `aws_lb_listener`; both arguments are expressions."""
    return f"""
resource "aws_lb_listener" "{label}" {{
  load_balancer_arn = {balancer}
  port              = 80
  default_action {{
    type             = "forward"
    target_group_arn = {group}
  }}
}}
"""


def rule(
    label: str,
    condition: str,
    *groups: str,
    priority: str = "",
    listener: str = "aws_lb_listener.http",
    more: str = "",
) -> str:
    """An `aws_lb_listener_rule`.

    Args:
        condition: "/api/*" for a path_pattern of that value; else what stands in its condition blocks.
        groups: names of the target groups that it forwards to, with weights if several.
        priority: an expression; empty for none.
    """
    if not condition.startswith("condition"):
        condition = f'condition {{\n path_pattern {{\n values = ["{condition}"]\n }}\n }}'
    weighted = "".join(
        f"target_group {{\n arn = aws_lb_target_group.{one}.arn\n weight = 50\n }}\n" for one in groups
    )
    forward = f"forward {{\n{weighted} }}" if len(groups) > 1 else ""
    if len(groups) == 1:
        forward = f"target_group_arn = aws_lb_target_group.{groups[0]}.arn"
    return f"""
resource "aws_lb_listener_rule" "{label}" {{
  listener_arn = {listener}.arn
  {f"priority = {priority}" if priority else ""}
  action {{
    type = "{"forward" if groups else "redirect"}"
    {forward}
  }}
  {condition}
  {more}
}}
"""


def fixed_response(balancer: str, label: str) -> str:
    """An `aws_lb_listener` that forwards to nobody."""
    return f"""
resource "aws_lb_listener" "{label}" {{
  load_balancer_arn = {balancer}
  default_action {{
    type = "fixed-response"
  }}
}}
"""


def group(label: str, *, name: str = "", more: str = "") -> str:
    """An `aws_lb_target_group`."""
    return f"""
resource "aws_lb_target_group" "{label}" {{
  name = "{name or label}"
  port = 8080
  {more}
}}
"""


def task(label: str, containers: str, *, family: str = "") -> str:
    """An `aws_ecs_task_definition`; `containers` are the objects of its list."""
    return f"""
resource "aws_ecs_task_definition" "{label}" {{
  family                = "{family or label}"
  container_definitions = jsonencode([{containers}])
}}
"""


def service(label: str, group: str, *, task: str = "", container: str = "web", port: int = 8080) -> str:
    """An `aws_ecs_service` with one target; `group` is an expression, empty for no target at all."""
    block = f"""
  load_balancer {{
    target_group_arn = {group}
    container_name   = "{container}"
    container_port   = {port}
  }}"""
    return f"""
resource "aws_ecs_service" "{label}" {{
  name            = "{label}"
  task_definition = {task or f"aws_ecs_task_definition.{label}.arn"}
  desired_count   = 2
  {block if group else ""}
}}
"""


GUNICORN = '{ name = "web", image = "registry/web:1", command = ["gunicorn", "--bind", ":8080", "app:app"] }'
"""A container that needs no Dockerfile to be understood."""

HTTPD = '{ name = "web", image = "registry/shop-httpd:1", portMappings = [{ containerPort = 8080 }] }'

CONF = """\
ServerName shop.internal
Listen 8080
KeepAliveTimeout 5
ProxyPass /reports http://127.0.0.1:8001/reports
ProxyPass / http://127.0.0.1:8000/
"""


def whole_service(label: str, *, containers: str = GUNICORN, balancer: str = "this") -> str:
    """Group, listener, task definition and service of one name, behind a balancer of the same module."""
    return (
        group(label)
        + listener(f"aws_lb.{balancer}.arn", f"aws_lb_target_group.{label}.arn", label)
        + task(label, containers)
        + service(label, f"aws_lb_target_group.{label}.arn")
    )


def chain(path: RequestPath) -> list[str]:
    """The names of the hops."""
    return [hop.name for hop in path.hops]


def told(unjoined: tuple[Unjoined, ...]) -> dict[str, str]:
    """What is on no path: what it is, and what is missing."""
    return {one.what: one.missing for one in unjoined}
