"""What the tests of the proxies' readers share: every Read of a fragment, by where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tests.readers.sites import assert_spans_fit, milliseconds, written

from keepalign.defaults import load
from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.model.timers import Role
from keepalign.readers._fragments import ProxyFragment, ProxyListener, ProxyWay
from keepalign.readers._reader import Absent, Read
from keepalign.units import Duration

Reader: TypeAlias = Callable[[SourceText], ProxyFragment]
Place: TypeAlias = tuple[int | None, int | None, Role]


def all_reads(fragment: ProxyFragment) -> Mapping[Place, Read]:
    """By the numbers of listener and way (None: of what is around them), and the role."""
    found: dict[Place, Read] = {(None, None, role): read for role, read in fragment.settings.items()}
    for n, listener in enumerate(fragment.listeners):
        found.update({(n, None, role): read for role, read in listener.settings.items()})
        for m, way in enumerate(listener.ways):
            found.update({(n, m, role): read for role, read in way.settings.items()})
    return found


def ways(fragment: ProxyFragment) -> list[ProxyWay]:
    """Of all listeners."""
    return [way for listener in fragment.listeners for way in listener.ways]


def the_way(fragment: ProxyFragment) -> ProxyWay:
    """The only one."""
    (way,) = ways(fragment)
    return way


def the_listener(fragment: ProxyFragment) -> ProxyListener:
    """The only one."""
    (listener,) = fragment.listeners
    return listener


def shown(settings: Mapping[Role, Read], role: Role) -> str:
    """The kind of a Read with its value: "60 s", "unlimited", "absent keepalive"."""
    read = settings[role]
    if isinstance(read, Explicit):
        return str(read.value)
    if isinstance(read, Absent):
        return f"absent {read.option}"
    return type(read).__name__.lower()


def assert_sound(source: SourceText, fragment: ProxyFragment) -> None:
    """Every span fits its file, every option that nobody wrote has a documented default."""
    assert_spans_fit(source, fragment)
    for (_, _, role), read in all_reads(fragment).items():
        assert_spans_fit(source, read)
        assert isinstance(role, Role)
        if isinstance(read, Absent):
            load(fragment.product).row(read.option)
    for way in ways(fragment):
        assert way.backends or way.unresolved
        assert not (way.traits.get("pool") == "off" and Role.UPSTREAM_POOL_IDLE in way.settings)


def assert_fragment_or_read_error(read: Reader, source: SourceText) -> None:
    """What every reader promises of any bytes."""
    place: tuple[int | None, int | None] = (1, 1)
    try:
        assert_sound(source, read(source))
    except ReadError as error:
        place = (error.line, error.column)
    assert all(place)


def assert_writes_read_back(read: Reader, source: SourceText, value: int, *, but: frozenset[Place]) -> None:
    """Through every site: what was written there holds in its place.

    Args:
        but: places whose value another one limits as well.
    """
    before = read(source)
    assert_sound(source, before)
    for place, setting in all_reads(before).items():
        if setting.site is None or isinstance(setting, Unknown) or place in but:
            continue
        edited = written(source, setting.site, value)
        again = all_reads(read(edited)).get(place)
        assert isinstance(again, Explicit), (place, edited.data.decode("utf-8", "replace"))
        assert again.value == Duration.of(ms=milliseconds(setting.site, value)), (place, edited.data.decode())
