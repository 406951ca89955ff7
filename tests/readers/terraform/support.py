"""Modules in memory: read them, edit them through a site, and say a Read in one line."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from keepalign.model.setting import Default, Disabled, Explicit, Unknown
from keepalign.model.source import Site
from keepalign.readers._aws import AwsFragment, Container
from keepalign.readers._reader import Absent, Read
from keepalign.readers.terraform import read_module

Tree = Mapping[str, str]
"""Path to text, below the root folder "infra": {"infra/main.tf": …}."""


def read(tree: Tree, folder: str = "infra") -> AwsFragment:
    def loader(asked: str) -> Mapping[str, bytes]:
        return {
            posixpath.basename(path): text.encode()
            for path, text in tree.items()
            if posixpath.dirname(path) == asked
        }

    return read_module(loader(folder), folder, loader=loader)


def read_text(text: str, **files: str) -> AwsFragment:
    """A root module of main.tf, and further files by name with "_" for "."."""
    more = {f"infra/{name.replace('__', '.')}": content for name, content in files.items()}
    return read({"infra/main.tf": text, **more})


def edited(tree: Tree, site: Site, seconds: int) -> dict[str, str]:
    """The tree with another value written at `site`."""
    result = dict(tree)
    for place in (site, *site.also):
        data = result[place.span.file].encode()
        new = place.template.replace("{value}", str(seconds)).encode()
        result[place.span.file] = (data[: place.span.start] + new + data[place.span.end :]).decode()
    return result


def written(tree: Tree, site: Site | None) -> str:
    """The text that an edit at `site` would replace, with its file and line."""
    assert site is not None
    span = site.span
    text = tree[span.file].encode()[span.start : span.end].decode()
    return f"{span.file}:{span.line}:{span.column} {text}"


def said(read: Read) -> str:
    """A Read in one line: the value, and its steps as `line what`."""
    match read:
        case Explicit(value=value, origin=origin):
            steps = [f"{posixpath.basename(s.span.file)}:{s.span.line} {s.what}" for s in origin.steps]
            return f"{value}: " + " <- ".join(steps)
        case Default(value=value, origin=origin):
            return f"{value}: {origin.note}"
        case Unknown(reason=reason):
            return f"unknown: {reason}"
        case Absent():
            return "absent"
        case Disabled():
            return "disabled"
        case _:
            return "unlimited"


def idle_timeout(fragment: AwsFragment) -> Read:
    """Of the one balancer."""
    (balancer,) = fragment.load_balancers
    return balancer.idle_timeout


def seconds(read: Read) -> float | None:
    return read.value.seconds if isinstance(read, Explicit) else None


def container(fragment: AwsFragment, name: str) -> Container:
    found = [c for task in fragment.task_definitions for c in task.containers if c.name == name]
    assert len(found) == 1, f"{name}: {[c.name for t in fragment.task_definitions for c in t.containers]}"
    return found[0]


def words(container: Container) -> list[str | None]:
    assert container.command is not None
    return [word.text for word in container.command.words]


def balancer(expression: str, rest: str = "") -> str:
    """A root module whose balancer has this idle timeout."""
    return f'resource "aws_lb" "this" {{\n  name         = "edge"\n  idle_timeout = {expression}\n}}\n{rest}'


def task(containers: str, rest: str = "") -> str:
    """A root module with one task definition."""
    return (
        'resource "aws_ecs_task_definition" "app" {\n  family                = "app"\n'
        f"  container_definitions = {containers}\n}}\n{rest}"
    )
