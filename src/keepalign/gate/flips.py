"""What is new since another revision, and which edits made it so."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from keepalign import rules
from keepalign.errors import NothingToRead, ReadError, UsageError
from keepalign.gate.gated import Gated
from keepalign.gate.revision import extract
from keepalign.join import Loaded, load_stack
from keepalign.model.checked import CheckResult
from keepalign.model.finding import Finding
from keepalign.model.fingerprint import Names, fingerprint
from keepalign.model.gated import Flip, Gone
from keepalign.model.path import RequestPath, Stack
from keepalign.model.setting import Default, Setting, written_at
from keepalign.model.source import Span
from keepalign.readers._reader import Note
from keepalign.reports.ladder import value_text

_UNUSED: Final = " was not used: "
"""How `readers._unused` says it."""


@dataclass(frozen=True, slots=True)
class Base:
    """Another revision, checked.

    Args:
        rev: as the user named it.
        fingerprints: of every finding of `result`, with files named from the root of the repository.
    """

    rev: str
    stack: Stack
    result: CheckResult
    fingerprints: Mapping[Finding, str]


@dataclass(frozen=True, slots=True)
class _Fact:
    """One thing that a rule may look at. `role`: what it is, within the hop; `place` of the value."""

    hop: str
    role: str
    option: str
    text: str
    place: Span | None


def read_base(rev: str, loaded: Loaded, names: Names) -> Base:
    """What `rev` of the repository at `names.top` comes to, read as `loaded` was.

    Raises: UsageError: git, the repository or the commit is missing, or its files cannot be understood.
    """
    request = loaded.request
    with tempfile.TemporaryDirectory(prefix="keepalign-base-") as folder:
        there = os.path.realpath(folder)
        roots = extract(rev, names.top, request.roots, Path(there))
        try:
            before = load_stack(
                roots,
                in_front=request.in_front,
                longest_request=request.longest_request,
                longest_silence=request.longest_silence,
                standard_input=request.standard_input,
            )
            stack, lost = before.stack, _unused(before.notes, Names(there, names.here))
        except NothingToRead:
            stack, lost = Stack(()), {}
        except ReadError as error:
            place = error.place.removeprefix(f"{there}{os.sep}")
            raise UsageError(
                f"--base {rev} cannot be checked: {place}: {error.message}", hint="check without --base"
            ) from error
    # Unreadable in both hides the same in both; else what a mended file says would look like new faults.
    for file in lost.keys() - _unused(loaded.notes, names).keys():
        raise UsageError(f"--base {rev} cannot be checked: {lost[file]}", hint="check without --base")
    result = rules.check(stack)
    extracted = Names(there, names.here)

    def name(file: str) -> str:
        below = extracted(file)
        return below if below != file else names(file)  # it stands for itself

    return Base(rev, stack, result, {f: fingerprint(f, stack, name) for f in result.findings})


def _unused(notes: Iterable[Note], names: Names) -> dict[str, str]:
    """The files that could not be used, by their names in the repository, with what is said of them."""
    told = [note.text.partition(_UNUSED) for note in notes if _UNUSED in note.text]
    return {names(file): f"{names(file)}{_UNUSED}{why}" for file, _, why in told}


def since(base: Base, now: Gated, stack: Stack) -> Gated:
    """`now` with those findings only that `base` does not have, each with what made it.

    A finding is the same in both when its fingerprint is; of several with one fingerprint, the first ones
    are. What `base` has and `now` does not is `gone`.
    """
    left = Counter(base.fingerprints[finding] for finding in base.result.findings)
    new: list[Finding] = []
    for finding in now.result.findings:
        key = now.gate.fingerprints[finding]
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(finding)
    for held in now.gate.suppressed:
        left[now.gate.fingerprints[held.finding]] -= 1
    gate = replace(
        now.gate,
        base=base.rev,
        unchanged=len(now.result.findings) - len(new),
        gone=tuple(_gone(base, left)),
        flips={finding: tuple(_flips(finding, base.stack, stack, now.result)) for finding in new},
    )
    old = tuple(finding for finding in now.result.findings if finding not in new)
    return replace(now, result=replace(now.result, findings=tuple(new)), gate=gate, aside=(*now.aside, *old))


def _gone(base: Base, left: Counter[str]) -> Iterator[Gone]:
    for finding in base.result.findings:
        key = base.fingerprints[finding]
        if left[key] > 0:
            yield Gone(key, finding.cause, finding.hop, "", left[key])
            left[key] = 0


def _flips(finding: Finding, before: Stack, after: Stack, result: CheckResult) -> list[Flip]:
    """The edits of what the finding compares; else every edit on its paths."""
    names = result.paths_of(finding)
    old_by_path = {path.name: path for path in before.paths}
    edits: dict[tuple[str, str], tuple[_Fact, Flip]] = {}
    for path in after.paths:
        if path.name not in names:
            continue
        old = old_by_path.get(path.name)
        if old is None and not _shares_a_hop(path, before):
            what = Flip(
                path.name, "request path", "", " → ".join(h.name for h in path.hops), path.hops[0].place
            )
            return [what]
        for fact, flip in _edits(old, path, before):
            edits.setdefault((flip.hop, flip.option), (fact, flip))
    compared = {(location.span.file, location.span.start) for location in finding.locations if location.span}
    needed = {(need.hop, need.role.value) for need in finding.needs}
    to_the_point = [
        flip
        for fact, flip in edits.values()
        if (fact.hop, fact.role) in needed
        or (fact.place is not None and (fact.place.file, fact.place.start) in compared)
    ]
    return to_the_point or [flip for _, flip in edits.values()]


def _shares_a_hop(path: RequestPath, stack: Stack) -> bool:
    known = {hop.name for other in stack.paths for hop in other.hops}
    return any(hop.name in known for hop in path.hops)


def _edits(old: RequestPath | None, new: RequestPath, before: Stack) -> Iterator[tuple[_Fact, Flip]]:
    """Every fact of `new` that is another in `old`, or in any path of `before` when it has no such path."""
    paths = [old] if old is not None else before.paths
    known: dict[tuple[str, str], _Fact] = {}
    for path in paths:
        for fact in _facts(path):
            known.setdefault((fact.hop, fact.role), fact)
    for fact in _facts(new):
        was = known.get((fact.hop, fact.role))
        if was is None or was.text != fact.text:
            yield (
                fact,
                Flip(fact.hop, fact.option, was.text if was is not None else "", fact.text, fact.place),
            )


def _facts(path: RequestPath) -> Iterator[_Fact]:
    for hop in path.hops:
        for role, setting in hop.settings.items():
            yield _of(hop.name, role.value, setting)
        for trait, text in hop.traits.items():
            yield _Fact(hop.name, f"trait {trait}", trait, text, hop.place)
        if hop.version:
            origin = hop.version_origin
            place = origin.literal if origin is not None else None
            yield _Fact(hop.name, "version", "version", hop.version, place)
    life = path.lifecycle
    if life is not None:
        yield _of(path.hops[0].name, "deregistration_delay", life.deregistration_delay)
        for stop in life.stops:
            yield _of(stop.container, "stop_timeout", stop.stop_timeout)
            yield _Fact(stop.container, "stop signal", "stop signal", stop.signal, None)
    for endpoint in path.endpoints:
        longest = {"longest_silence": endpoint.longest_silence, "longest_request": endpoint.longest_request}
        for name, value in longest.items():
            if value is not None:
                yield _Fact(endpoint.path, name, name, str(value), endpoint.origin.literal)


def _of(hop: str, role: str, setting: Setting) -> _Fact:
    text = value_text(setting) + (" by default" if isinstance(setting, Default) else "")
    return _Fact(hop, role, setting.option, text, written_at(setting))
