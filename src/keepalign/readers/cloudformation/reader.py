"""Templates to fragments."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment
from keepalign.readers._reader import Note
from keepalign.readers.cloudformation.resources import Collector
from keepalign.readers.cloudformation.stacks import Stacks
from keepalign.readers.cloudformation.template import Template


def read_templates(
    files: Sequence[str],
    listed: Sequence[str],
    load: Callable[[str], SourceText | None],
    wanted: Collection[str] = (),
) -> tuple[list[AwsFragment], list[Note]]:
    """One fragment per stack with all its nested ones; one for stacks that import from each other.

    Args:
        files: the templates.
        listed: every file of the tree: nested templates and parameter files are looked for among them.
        load: the text of a file; None when it cannot be read.
        wanted: those of `files` that must be readable, as somebody named them.
    Returns: the fragments in the order of `files`, and what no fragment holds: templates that cannot be used.
    Raises: ReadError: one of `wanted` is no template.
    """
    templates: dict[str, Template | None] = {}
    stacks = Stacks(files, listed, load, {}, templates, wanted)
    fragments = _collected(stacks, {root: [root] for root in stacks.roots})
    groups = _groups(list(stacks.roots), stacks.imports)
    if any(len(group) > 1 for group in groups.values()):
        # Again, with addresses that are unique in each group.
        stacks = Stacks(files, listed, load, _prefixes(groups), templates, wanted)
        fragments = _collected(stacks, groups)
    return fragments, list(stacks.missing.values())


def _collected(stacks: Stacks, groups: dict[str, list[str]]) -> list[AwsFragment]:
    found: list[AwsFragment] = []
    for first, roots in groups.items():
        collector = Collector()
        for root in roots:
            scope = stacks.roots[root]
            for one in (scope, *stacks.below(scope)):
                collector.stack(one)
        fragment = collector.fragment(first)
        if fragment is not None:
            found.append(fragment)
    return found


def _groups(roots: Sequence[str], imports: set[tuple[str, str]]) -> dict[str, list[str]]:
    """The roots that hang together, by the first of them."""
    first = {root: root for root in roots}
    for one, other in sorted(imports):
        old, new = max(first[one], first[other]), min(first[one], first[other])
        first = {root: new if at == old else at for root, at in first.items()}
    groups: dict[str, list[str]] = {}
    for root in roots:
        groups.setdefault(first[root], []).append(root)
    return {group[0]: group for group in groups.values()}


def _prefixes(groups: dict[str, list[str]]) -> dict[str, str]:
    """Root to what stands in front of its addresses: the file's name, with folders where names are alike."""
    found: dict[str, str] = {}
    for group in groups.values():
        stems = [os.path.basename(root).split(".")[0] for root in group]
        for root, stem in zip(group, stems, strict=True):
            if len(group) > 1:
                found[root] = f"{stem if stems.count(stem) == 1 else os.path.splitext(root)[0]}."
    return found
