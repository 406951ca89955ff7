"""When targets were taken out, from what ECS and CloudTrail say: `--events FILE`.

Known are, as JSON, as JSON lines or in an array, each also in the wrapping of a log group:

- `aws ecs describe-services`: messages of `events` ("(service x) deregistered 1 targets in (target-group …)",
  "… has begun draining connections on 2 tasks."). They name no target, so that only the time is learned;
- EventBridge, "ECS Task State Change" (ECS guide, "Task state change events"), and `aws ecs describe-tasks`:
  a task that is being stopped, with the address of its network interface (`privateIPv4Address`). A task is
  deregistered when it becomes DEACTIVATING; without that event, `stoppingAt` is the nearest time;
- CloudTrail, DeregisterTargets (`requestParameters.targets`) and DeregisterInstancesFromLoadBalancer: as the
  trail writes it, from `aws cloudtrail lookup-events`, or through EventBridge.

And a table by hand: `time,target` on each line, also with semicolons, tabs or blanks.

When a deployment began or was completed ("ECS Deployment State Change", "deployment completed.") is passed
over: targets are taken out in between, and a drain is counted from there.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from keepalign.errors import ReadError
from keepalign.logs.blocks import pieces
from keepalign.model.observation import Deployment
from keepalign.units import Duration, Instant

LARGEST: Final = 1 << 28
"""Bytes of events, unpacked: a day of a large cluster is some MB."""
_HINT: Final = (
    "give the output of `aws ecs describe-services --cluster C --services S` or `aws ecs describe-tasks`, ECS"
    " events of EventBridge, DeregisterTargets events of CloudTrail, or lines of time,target"
)
_TAKEN_OUT: Final = re.compile(
    r"\) (?:deregistered \d+ targets? in |has begun draining connections on \d+ tasks?)"
)
"""Service event messages (ECS guide, "Service event messages")."""
_ENDING: Final = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"})
_REMOVALS: Final = frozenset({"DeregisterTargets", "DeregisterInstancesFromLoadBalancer"})
_LISTS: Final = ("services", "tasks", "Records", "Events", "events", "logEvents")
_SAME: Final = Duration.of(s=1)
"""Events of one removal that name no target follow each other within this."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S: Final = -62_135_596_800
_LAST_S: Final = 253_402_300_799
"""Years 1 to 9999, the instants that can be shown."""
_DEEPEST: Final = 8
_MISSES: Final = 100
"""Marks that may not be found before no more are looked for: each costs a walk to the end."""
_SEPARATOR: Final = re.compile(r"[,;\t ]+")


class _Event(NamedTuple):
    """One removal. `key`: what several events may tell of, the earliest of which counts; empty: nothing."""

    at: Instant
    removed: tuple[str, ...]
    line: int
    key: str = ""


def read_events(path: Path) -> tuple[Deployment, ...]:
    """As deployments(), from a file, plain or gzip as a trail writes it, or a pipe. Raises: ReadError."""
    data, notes = bytearray(), list[str]()
    try:
        for piece in pieces(lambda: path.open("rb"), "", notes):
            data += piece
            if len(data) > LARGEST:
                raise ReadError(f"more than {LARGEST >> 20} MB of events", file=str(path), hint=_HINT)
    except OSError as error:
        raise ReadError(error.strerror or str(error), file=str(path)) from error
    if notes:
        raise ReadError(notes[0].removeprefix(": ").partition(";")[0], file=str(path))
    return deployments(data, file=str(path))


def deployments(data: bytes | bytearray, *, file: str) -> tuple[Deployment, ...]:
    """What was taken out and when, in order of time; empty when the events tell of no removal.

    Addresses without a port where the event names none. Events without any target come with an empty
    `removed`: then only the time is known.

    Raises: ReadError: no shape that is known, with the line.
    """
    text = data.decode("utf-8-sig", "replace")
    if not text.strip():
        raise ReadError("the file is empty", file=file, hint=_HINT)
    found = _from_json(text, file) if text.lstrip()[:1] in ("{", "[") else _from_table(text, file)
    return tuple(Deployment(e.at, e.removed, f"{file}:{e.line}") for e in _merged(found))


def _merged(events: list[_Event]) -> list[_Event]:
    """In order of time; what tells of the same removal counts once, at its earliest."""
    kept: list[_Event] = []
    seen: set[str] = set()
    unnamed: Instant | None = None
    for event in sorted(events, key=lambda event: (event.at, event.line, event.removed)):
        if event.key:
            if event.key in seen:
                continue
            seen.add(event.key)
        if not event.removed:
            if unnamed is not None and event.at - unnamed <= _SAME:
                continue
            unnamed = event.at
        kept.append(event)
    return kept


class _Lines:
    """Which line a text stands in, for texts that are asked for in their order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._misses = 0

    def of(self, mark: object) -> int:
        """The line of the next `mark`; where there is none, the line of the last one found."""
        if isinstance(mark, str) and mark and self._misses < _MISSES:
            place = self._text.find(mark, self._at)
            if place >= 0:
                self._line += self._text.count("\n", self._at, place)
                self._at = place
            else:
                self._misses += 1
        return self._line


def _from_json(text: str, file: str) -> list[_Event]:
    lines = _Lines(text)
    reader = _Shapes(lines)
    for value in _values(text, file):
        reader.read(value, 0)
    if not reader.known:
        raise ReadError("no events that tell of targets or deployments", file=file, line=1, hint=_HINT)
    return reader.found


def _values(text: str, file: str) -> Iterator[object]:
    """JSON values one behind the other: one document, or a line each."""
    decoder = json.JSONDecoder()
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in " \t\r\n,":
            at += 1
        if at == end:
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ReadError(
                f"no JSON: {error.msg}", file=file, line=error.lineno, column=error.colno, hint=_HINT
            ) from error
        except (ValueError, RecursionError) as error:
            line = text.count("\n", 0, at) + 1
            raise ReadError("JSON that is nested too deep", file=file, line=line, hint=_HINT) from error
        yield value


class _Shapes:
    """Collects removals from values of known shapes. `known`: whether any was met."""

    def __init__(self, lines: _Lines) -> None:
        self.found: list[_Event] = []
        self.known = False
        self._lines = lines

    def read(self, value: object, depth: int) -> None:
        """A value in any wrapping; what is not known is passed over."""
        if depth > _DEEPEST:
            return
        if isinstance(value, list):
            for one in value:
                self.read(one, depth + 1)
        elif isinstance(value, dict):
            self._object(value, depth)

    def _object(self, value: dict[str, object], depth: int) -> None:
        kind = value.get("detail-type")
        detail = value.get("detail")
        message = value.get("message")
        if isinstance(kind, str) and isinstance(detail, dict):
            self._event(kind, detail, value)
        elif isinstance(value.get("eventName"), str) and "eventSource" in value:
            self._trail(value)
        elif "taskArn" in value and ("lastStatus" in value or "desiredStatus" in value):
            self._task(value, None, value.get("taskArn"))
        elif isinstance(value.get("CloudTrailEvent"), str):
            self._inner(value["CloudTrailEvent"], depth)
        elif isinstance(message, str) and message.lstrip()[:1] == "{":
            self._inner(message, depth)
        elif isinstance(message, str) and "createdAt" in value:
            self._service_event(value, message)
        else:
            for key in _LISTS:
                if isinstance(value.get(key), list):
                    self.known = self.known or key in ("services", "tasks")
                    self.read(value[key], depth + 1)

    def _inner(self, text: object, depth: int) -> None:
        try:
            value = json.loads(str(text))
        except (ValueError, RecursionError):
            return
        self.read(value, depth + 1)

    def _event(self, kind: str, detail: dict[str, object], event: dict[str, object]) -> None:
        at = instant(event.get("time"))
        mark = event.get("id")
        if kind == "ECS Task State Change":
            self._task(detail, at, mark)
        elif kind == "AWS API Call via CloudTrail":
            self._trail(detail)
        elif kind.startswith("ECS "):
            self.known = True

    def _service_event(self, value: dict[str, object], message: str) -> None:
        self.known = True
        at = instant(value.get("createdAt"))
        if at is not None and _TAKEN_OUT.search(message):
            self.found.append(_Event(at, (), self._lines.of(value.get("id"))))

    def _task(self, task: dict[str, object], at: Instant | None, mark: object) -> None:
        """A task that is being stopped; `at`: of the event."""
        self.known = True
        status = str(task.get("lastStatus"))
        if str(task.get("group")).startswith("family:"):
            # Started on its own, not by a service: nothing is registered.
            return
        if status not in _ENDING and task.get("desiredStatus") != "STOPPED":
            return
        if status != "DEACTIVATING" or at is None:
            at = instant(task.get("stoppingAt")) or at or instant(task.get("stoppedAt"))
        if at is not None:
            arn = task.get("taskArn")
            key = arn if isinstance(arn, str) else ""
            self.found.append(_Event(at, _addresses(task), self._lines.of(mark), key))

    def _trail(self, event: dict[str, object]) -> None:
        if str(event.get("eventName")) not in _REMOVALS:
            return
        self.known = True
        at = instant(event.get("eventTime"))
        if at is None or event.get("errorCode"):
            return
        asked = event.get("requestParameters")
        targets = asked.get("targets") if isinstance(asked, dict) else None
        removed = [_named(one) for one in targets] if isinstance(targets, list) else []
        names = tuple(name for name in removed if name)
        self.found.append(_Event(at, names, self._lines.of(event.get("eventID"))))


def _named(target: object) -> str:
    """As an access log names a target; empty for an instance's id or a function, which no log has there."""
    if not isinstance(target, dict):
        return ""
    name, port = target.get("id"), target.get("port")
    if not isinstance(name, str) or not _is_address(name):
        return ""
    return f"{name}:{port}" if isinstance(port, int) and 0 <= port <= 65_535 else name


def _is_address(text: str) -> bool:
    """Whether it is an IP address, with a port or without."""
    host, _, port = text.rpartition(":")
    for one in (text, host if port.isdecimal() else ""):
        try:
            ipaddress.ip_address(one)
        except ValueError:
            continue
        return True
    return False


def _addresses(task: dict[str, object]) -> tuple[str, ...]:
    """Of the task's network interfaces (network mode awsvpc); none in the other modes."""
    found: dict[str, None] = {}
    for attachment in _dicts(task.get("attachments")):
        for detail in _dicts(attachment.get("details")):
            if detail.get("name") in ("privateIPv4Address", "privateIPv6Address"):
                found[str(detail.get("value"))] = None
    for container in _dicts(task.get("containers")):
        for interface in _dicts(container.get("networkInterfaces")):
            for name in ("privateIpv4Address", "ipv6Address"):
                found[str(interface.get(name))] = None
    return tuple(address for address in found if _is_address(address))


def _dicts(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def instant(value: object) -> Instant | None:
    """A time as AWS's APIs write it: ISO 8601 (UTC where no zone is written), or seconds since the epoch."""
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
            since = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - _EPOCH
            us = since // timedelta(microseconds=1)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            # Log groups count milliseconds.
            us = round(value * (1_000 if abs(value) > _LAST_S else 1_000_000))
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return Instant(us) if _FIRST_S * 1_000_000 <= us <= _LAST_S * 1_000_000 else None


def _from_table(text: str, file: str) -> list[_Event]:
    """Lines of time and targets; "#" begins a comment, and a heading may stand first."""
    by_time: dict[Instant, tuple[list[str], int]] = {}
    begun = False
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.partition("#")[0].strip()
        if not bare:
            continue
        words = [word.strip("\"'") for word in _SEPARATOR.split(bare) if word.strip("\"'")]
        if not begun and words and words[0].lower() in ("time", "at", "timestamp", "date"):
            begun = True
            continue
        begun = True
        at, rest = _time_of(words)
        if at is None:
            reason = f"{bare[:40]!r} begins with no time like 2026-11-22T10:00:00Z"
            raise ReadError(reason, file=file, line=number, column=1, hint=_HINT)
        targets, _ = by_time.setdefault(at, ([], number))
        for target in (word for word in rest if word != "-"):
            if not _is_address(target):
                reason = f"{target[:40]!r} is no address of a target like 10.0.0.1:80"
                column = line.find(target) + 1
                raise ReadError(reason, file=file, line=number, column=column, hint=_HINT)
            targets.append(target)
    return [_Event(at, tuple(dict.fromkeys(targets)), line) for at, (targets, line) in by_time.items()]


def _time_of(words: list[str]) -> tuple[Instant | None, list[str]]:
    """The time that words begin with, also in two of them, and what follows."""
    if len(words) > 1 and re.fullmatch(r"\d{4}-\d\d-\d\d", words[0]) and re.match(r"\d\d:", words[1]):
        both = instant(f"{words[0]}T{words[1]}")
        if both is not None:
            return both, words[2:]
    return (instant(words[0]), words[1:]) if words else (None, [])
