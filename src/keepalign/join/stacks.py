"""Stacks of Docker Compose: which of their services requests come in by, and how they stop.

A tree often holds one for development beside what is deployed. A front of Compose that is, or leads to, an
image whose Dockerfile a task or a pod of the tree runs is the stand-in of that: the deployed one is judged,
and the stand-in adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from keepalign.join import lifecycles, routes
from keepalign.join.containers import Programs
from keepalign.join.declared import Declarations
from keepalign.join.loose import Servers
from keepalign.join.program import Program
from keepalign.readers.compose import ComposeFragment
from keepalign.readers.tree import Tree


def compose_servers(tree: Tree, programs: Programs, declarations: Declarations) -> list[Servers]:
    """The servers of each Compose project of a tree. To be asked when all that is deployed is known."""
    deployed = {one.file for one in tree.dockerfiles} & programs.used
    return [_servers(project, programs, declarations, deployed) for project in tree.compose]


def _servers(
    project: ComposeFragment, programs: Programs, declarations: Declarations, deployed: set[str]
) -> Servers:
    containers = [service.container for service in project.services]
    found = programs.of_task(containers, project.file, declarations.builds(project.file))
    publishing = {service.container.name for service in project.services if service.publishes}
    fronts = [one.container for one in routes.fronts(found, one_task=True)]
    # Where nothing is published, something outside of these files leads to whatever nothing else leads to.
    outer = [name for name in fronts if name in publishing] or fronts
    own = [name for name in fronts if not deployed & _behind(found[name], found)]
    return Servers(
        found,
        project.file,
        one_task=True,
        entries=frozenset(name for name in own if name in outer),
        inner=tuple(found[name] for name in own if name not in outer),
        lifecycle=lifecycles.of_compose(containers, found),
    )


def _behind(front: Program, programs: Mapping[str, Program]) -> set[str]:
    """The files that `front` and all it leads to are made of."""
    reached = {front.container: front}
    waiting = [front]
    while waiting:
        for one in routes.backends(waiting.pop(), programs, one_task=True):
            if one.container not in reached:
                reached[one.container] = one
                waiting.append(one)
    return {file for program in reached.values() for file in program.files}
