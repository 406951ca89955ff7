"""What helps at once, without a deploy: one command, what it costs, and the command that takes it back.

Commands are printed, never run. Of the log's own words only names that have the form of AWS's reach them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepalign.logs import causes
from keepalign.model.diagnosis import CauseGroup, TargetLife
from keepalign.model.finding import Confidence, Mitigation
from keepalign.model.observation import Timers
from keepalign.rules import aws_commands
from keepalign.rules.margins import margin_over, nice
from keepalign.units import Duration

IDLE_DEFAULT: Final = Duration.of(s=60)
"""Of an ALB (Elastic Load Balancing API, LoadBalancerAttribute idle_timeout.timeout_seconds); 1 to 4000 s."""
DELAY_MOST: Final = Duration.of(s=3600)
"""Of a target group (same, TargetGroupAttribute deregistration_delay.timeout_seconds)."""
_IDLE_MOST: Final = Duration.of(s=4000)
_SHORT: Final = Duration.of(s=5)
"""Apache's, Node's and uvicorn's keep-alive timeout by default."""
_SECOND: Final = Duration.of(s=1)
_ONE_TARGET: Final = 10
"""Errors of one target, four fifths of all, from which on taking it out is worth a thought."""
_SPARE: Final = 3
"""Targets that there are at least, so that one can be spared."""
_FEW: Final = 0.1
"""Requests cut by the idle timeout, for each error that a shorter one would end, up to which that helps."""
_LATELY: Final = 5
"""Minutes before the log's end in which a target was seen that is still there."""
_STILL: Final = 1
"""Minutes before the log's end in which errors are seen that go on."""
_MINUTE_US: Final = 60_000_000

GROUP_ARN: Final = re.compile(
    r"arn:(aws[a-z-]*):elasticloadbalancing:([a-z0-9-]+):([0-9]{12}):targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]+",
    re.ASCII,
)
_BALANCER: Final = re.compile(r"(?:app|net)/[A-Za-z0-9-]{1,32}/[0-9a-f]+", re.ASCII)
_TARGET: Final = re.compile(r"([0-9.]{7,15}|[0-9a-f:]{3,39}):([0-9]{1,5})", re.ASCII)
_ALB_ARN: Final = '"$ALB_ARN"'
_TARGET_GROUP_ARN: Final = '"$TARGET_GROUP_ARN"'
_VARIABLES: Final = {_ALB_ARN: "the balancer's ARN", _TARGET_GROUP_ARN: "the target group's ARN"}
_FILL_IN: Final = re.compile(r" (?:ALB_ARN|TARGET_GROUP_ARN): .*")
"""What rules say of the variables in their commands."""
_IDLE: Final = "idle_timeout.timeout_seconds"
_BEFORE: Final = '"$BEFORE"'
_VALUE: Final = re.compile(r"Value=[0-9]+")


@dataclass(frozen=True, slots=True)
class Names:
    """Names for commands, with variables in place of those that are not known. `region`: with its option."""

    balancer: str
    group: str
    region: str

    @classmethod
    def of(cls, arns: Sequence[str], balancer: str) -> Names:
        """Of target groups' ARNs, the worst first, and a balancer as the log names it."""
        found = GROUP_ARN.fullmatch(arns[0]) if arns else None
        if found is None:
            return cls(_ALB_ARN, _TARGET_GROUP_ARN, "")
        partition, region, account = found.groups()
        arn = f"arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/{balancer}"
        known = _BALANCER.fullmatch(balancer) is not None
        return cls(arn if known else _ALB_ARN, found[0], f" --region {region}")

    def filled(self, command: str) -> str:
        """A command of rules.aws_commands with the names in it."""
        told = command.replace(_ALB_ARN, self.balancer).replace(_TARGET_GROUP_ARN, self.group)
        return f"{told}{self.region}" if told else ""

    def mitigation(self, command: str, cost: str, undo: str) -> Mitigation:
        """With what is to be filled in told in its cost."""
        command, undo = self.filled(command), self.filled(undo)
        missing = [f"{word[2:-1]}: {what}" for word, what in _VARIABLES.items() if word in command]
        if _BEFORE in undo:
            which = "load-balancer" if _IDLE in undo else "target-group"
            missing.append(f"BEFORE: the present value, as `aws elbv2 describe-{which}-attributes` tells it")
        return Mitigation(command, f"{cost} {'; '.join(missing)}." if missing else cost, undo)


def mitigation_of(
    group: CauseGroup, timers: Timers, longest: Duration | None, names: Names, lives: Sequence[TargetLife]
) -> Mitigation | None:
    """What helps against a cause as far as the log tells; None where nothing does.

    Args:
        longest: that a target had one of its requests. lives: of the targets in the whole log.
    """
    idle, keep, delay = timers.idle_timeout, timers.keep_alive, timers.deregistration_delay
    match group.cause:
        case causes.KEEP_ALIVE:
            kept = keep if keep is not None else _SHORT
            value = _below(kept)
            if value is None or value >= (idle or IDLE_DEFAULT):
                return None
            if keep is None and group.usual is not Confidence.HIGH:
                # A guess at the cause and a guess at the timer do not make a command.
                how = "state the targets' keep-alive timeout (--keep-alive 5s, say) to be told of one"
                return Mitigation("", f"no command without a deploy yet: {how}", "")
            cost = f"every response silent for {value} or longer ends in a 504 of the balancer."
            if keep is None:
                cost += f" It helps where targets keep idle connections for {kept} or longer."
            return _set_idle(names, value, idle, cost)
        case causes.LB_IDLE if idle is not None and idle < _IDLE_MOST:
            # Of an idle timeout that is not known, any value could be a shorter one.
            value = min(nice(idle * 2), _IDLE_MOST)
            if keep is not None and idle < keep and value > (below := _below(keep) or idle):
                # Above it the balancer would begin to meet connections that targets close.
                if below < idle + margin_over(idle):
                    what = f"targets have to keep idle connections for longer than {keep} first"
                    return Mitigation("", f"nothing without a deploy: {what}", "")
                value = below
            cost = (
                f"slow requests hold their connections and workers for up to {value}, and idle connections"
                " are re-used for as long: targets that close theirs sooner make more 502s."
            )
            return _set_idle(names, value, idle, cost)
        case causes.DRAIN if longest is not None:
            least = max(longest, delay) if delay is not None else longest
            value = min(nice(least + margin_over(least)), DELAY_MOST)
            if delay is not None and value <= delay:
                return None
            cost = f"each batch of a deployment or scale-in waits the whole {value}."
            if delay is None:
                cost += " Only where the delay is shorter now."
            return names.mitigation(
                aws_commands.set_deregistration_delay(value),
                cost,
                _undo(aws_commands.set_deregistration_delay, delay),
            )
        case causes.CLOSED | causes.REFUSED | causes.CONNECT_TIMEOUT | causes.GENERATED:
            return _without_one_target(group, names, lives)
        case _:
            return None


def named(mitigation: Mitigation, names: Names, *, stranger: bool = False) -> Mitigation:
    """A rule's mitigation with the names of the log in it, as far as they are known.

    Args:
        stranger: the configuration may be of another stack: its present values are not to be gone back to.
    """
    undo = _VALUE.sub(f"Value={_BEFORE}", mitigation.undo) if stranger else mitigation.undo
    return names.mitigation(mitigation.command, _FILL_IN.sub("", mitigation.cost), undo)


def not_both(groups: Sequence[CauseGroup]) -> tuple[CauseGroup, ...]:
    """`groups` without an idle timeout that helps against one cause and makes more of another.

    A shorter one ends more of the answers that are waited for, a longer one keeps more connections that
    targets close.
    """
    numbers = {group.cause: group.number for group in groups}
    stale, cut = numbers.get(causes.KEEP_ALIVE, 0), numbers.get(causes.LB_IDLE, 0)
    found: list[CauseGroup] = []
    for group in groups:
        told = group.mitigation
        if told is not None and _IDLE in told.command:
            if group.cause != causes.LB_IDLE and cut:
                told = _with_slow_ones(told, cut, group.number)
            elif group.cause == causes.LB_IDLE and stale > group.number:
                why = f"a longer idle timeout would make more of what is {causes.KEEP_ALIVE}"
                told = Mitigation("", f"nothing without a deploy: {why}", "")
        found.append(replace(group, mitigation=told))
    return tuple(found)


def _with_slow_ones(mitigation: Mitigation, cut: int, number: int) -> Mitigation:
    """A shorter idle timeout, where `cut` requests were silent for the whole of the present one."""
    waits = f"{cut:,} request{'s' if cut > 1 else ''} waited for the whole idle timeout"
    if cut >= _FEW * number:
        return Mitigation(
            "", f"nothing without a deploy: {waits} already, and a shorter one would cut more", ""
        )
    cost = f"{mitigation.cost.rstrip('.')}. This log has such: {waits}."
    return replace(mitigation, cost=cost)


def _below(keep: Duration) -> Duration | None:
    """An idle timeout that ends before `keep` does; None where an ALB takes none so short."""
    value = Duration((keep - margin_over(keep)).us // _SECOND.us * _SECOND.us)
    if value < _SECOND:
        value = Duration((keep.us - 1) // _SECOND.us * _SECOND.us)
    return value if value >= _SECOND else None


def _set_idle(names: Names, value: Duration, before: Duration | None, cost: str) -> Mitigation:
    return names.mitigation(
        aws_commands.set_idle_timeout(value), cost, _undo(aws_commands.set_idle_timeout, before)
    )


def _undo(command: Callable[[Duration], str], before: Duration | None) -> str:
    if before is not None:
        return command(before)
    return command(Duration(0)).replace("Value=0", f"Value={_BEFORE}")


def _without_one_target(group: CauseGroup, names: Names, lives: Sequence[TargetLife]) -> Mitigation | None:
    """Take the one out that makes nearly all of the errors, where it still does, and others are there."""
    top = group.targets[0]
    found = _TARGET.fullmatch(top.word)
    end = max((life.last for life in lives), default=0)
    there = {life.target for life in lives if life.last >= end - _LATELY}
    if found is None or top.errors < max(_ONE_TARGET, 0.8 * group.number):
        return None
    if top.word not in there or len(there) < _SPARE:
        return None
    if group.last.us // _MINUTE_US < end - _STILL:
        # It has recovered, or gets no requests any more.
        return None
    address, port = found.groups()
    which = f"--target-group-arn {_TARGET_GROUP_ARN} --targets Id={address},Port={port}"
    return names.mitigation(
        f"aws elbv2 deregister-targets {which}",
        f"one target of {len(there)} less to carry the load; its running requests have the deregistration"
        " delay to finish. ECS starts no other in its place, unless the task is stopped too.",
        f"aws elbv2 register-targets {which}",
    )
