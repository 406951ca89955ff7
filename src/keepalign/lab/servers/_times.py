"""A hop's times as they are run: its own setting, else the documented default, scaled."""

from __future__ import annotations

from typing import Final

from keepalign.defaults import load
from keepalign.errors import LabError
from keepalign.lab.scale import Scale, timer_of
from keepalign.model.path import Hop
from keepalign.model.setting import Disabled, Setting, Unknown
from keepalign.model.timers import Role
from keepalign.units import ZERO, Duration

# Longer than any run: for products that cannot be told "no limit".
_NO_LIMIT: Final = Duration.of(s=86_400)
_MILLISECOND: Final = Duration.of(ms=1)
_SECOND: Final = Duration.of(s=1)


def scaled(hop: Hop, role: Role, option: str, scale: Scale) -> Duration | None:
    """The time to set, rounded up to what the product takes; None where no such timer runs.

    Args:
        option: the vendor's name, whose default holds where the hop has no setting of this role.
    Raises: LabError: the setting is unknown.
    """
    setting = _setting(hop, role, option)
    if isinstance(setting, Unknown):
        raise LabError(
            f"{hop.name}: {setting.option} is unknown: {setting.reason}",
            hint="set it, so that the lab knows what to run",
        )
    timer = timer_of(hop, setting)
    return None if timer is None else timer.at(scale.factor)


def limit(hop: Hop, role: Role, option: str, scale: Scale) -> Duration:
    """As `scaled`; longer than any run where no such timer runs."""
    time = scaled(hop, role, option, scale)
    return _NO_LIMIT if time is None else time


def server_idle(hop: Hop, option: str, scale: Scale) -> Duration:
    """As `limit`; zero where the hop keeps no connection open."""
    return ZERO if switched_off(hop, Role.SERVER_IDLE) else limit(hop, Role.SERVER_IDLE, option, scale)


def switched_off(hop: Hop, role: Role) -> bool:
    """Whether the hop says that this feature is off; not so where it says nothing."""
    return isinstance(hop.settings.get(role), Disabled)


def _setting(hop: Hop, role: Role, option: str) -> Setting:
    own = hop.settings.get(role)
    return own if own is not None else load(hop.product).setting(option, version=hop.version)


def milliseconds(time: Duration) -> int:
    """Whole milliseconds, rounded up."""
    return time.ceil_to(_MILLISECOND).us // 1_000


def seconds(time: Duration) -> int:
    """Whole seconds, rounded up."""
    return time.ceil_to(_SECOND).us // 1_000_000


def count(hop: Hop, trait: str, default: int, *, least: int = 1) -> int:
    """A trait that is a number. Raises: LabError: it is none, or below `least`."""
    text = hop.traits.get(trait, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise LabError(f"{hop.name}: {trait} is {text!r}", hint=f"write a whole number from {least} up")
    return int(text)


def choice(hop: Hop, trait: str, *words: str) -> str:
    """A trait that is one of `words`; the first where it is absent. Raises: LabError: another word."""
    word = hop.traits.get(trait, words[0])
    if word not in words:
        raise LabError(f"{hop.name}: {trait} {word!r} cannot be run here", hint=f"use {' or '.join(words)}")
    return word
