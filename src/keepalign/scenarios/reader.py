"""Reads a scenario: TOML tables laid over one another, then turned into request paths."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from keepalign.defaults import load as defaults_of
from keepalign.errors import ReadError, UsageError
from keepalign.model.lifecycle import Deployment, HealthCheck, Lifecycle, StopStep
from keepalign.model.path import Hop, JoinBy, JoinEvidence, Product, RequestPath
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unlimited
from keepalign.model.source import Origin, OriginKind
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.scenarios.scenario import Case, Event, Scenario, Traffic
from keepalign.units import ZERO, Duration

HEALTH_PATH: Final = "/health"
"""Answered at once by every server of a scenario."""

_LARGEST: Final = 256 * 1024
_Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Balancer(_Strict):
    idle_timeout: str | None = None
    deregistration_delay: str | None = None


class _Hop(_Strict):
    product: Product
    settings: dict[Role, str] = {}
    traits: dict[str, str] = {}
    stop_signal: str = "SIGTERM"
    stop_timeout: str | None = None


class _Endpoint(_Strict):
    longest_silence: str = "0s"
    longest_request: str | None = None


class _Traffic(_Strict):
    every: str
    run_for: str
    plus: str = "0s"
    jitter: str = "0s"
    size: _Count = 1


class _Event(_Strict):
    what: Literal["deploy", "stop_task"]
    at: str


class _Stack(_Strict):
    title: str
    says: str
    shows: str
    on: str
    hop: dict[str, _Hop]
    endpoint: dict[str, _Endpoint]
    traffic: dict[str, _Traffic]
    hops: list[str] | None = None
    event: dict[str, _Event] = {}
    balancer: _Balancer = msgspec.field(default_factory=_Balancer)
    tasks: _Count = 2
    one_way: str = "0.5ms"
    scale_at_most: _Count = 60


def names() -> tuple[str, ...]:
    """The slugs of the packaged scenarios, sorted."""
    folder = files("keepalign.scenarios")
    return tuple(sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")))


def load(word: str) -> Scenario:
    """The packaged scenario of a slug, or the scenario of a `.toml` file.

    Raises:
        UsageError: no such scenario; the message names near ones.
        ReadError: the file cannot be read or understood.
    """
    if word.endswith(".toml"):
        try:
            with open(word, "rb") as stream:
                data = stream.read(_LARGEST + 1)
        except OSError as error:
            raise ReadError(f"cannot be read: {error.strerror}", file=word, hint="check the path") from error
        return read(data, word)
    if word not in names():
        near = difflib.get_close_matches(word, names(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"there is no scenario {word!r}", hint=f"{hint}`keepalign lab list` shows them all")
    file = f"{word}.toml"
    return read((files("keepalign.scenarios") / file).read_bytes(), file)


def read(data: bytes, file: str) -> Scenario:
    """The scenario in the bytes of `file`, whose name without `.toml` is the cause's slug.

    Raises: ReadError: no TOML, an unknown key or word, a duration that is none, or what cannot be a stack.
    """
    if len(data) > _LARGEST:
        raise ReadError("is larger than 256 KiB", file=file, hint="a scenario is a page of TOML")
    try:
        raw = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ReadError("is no UTF-8 text", file=file, hint="save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (None, None)
        raise ReadError(f"is no TOML: {error}", file=file, line=line, column=column) from error
    return _Reading(file).scenario(raw)


def _over(base: Mapping[str, Any], top: object) -> dict[str, Any]:
    """`top` laid over `base`: tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in top.items() if isinstance(top, Mapping) else ():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _over(under, value) if both and under is not None else value
    return merged


class _Reading:
    def __init__(self, file: str) -> None:
        self._file = file
        self._origin = Origin(OriginKind.DECLARED, note=f"scenario {Path(file).name}")

    def _fault(self, where: str, message: str, hint: str = "") -> ReadError:
        return ReadError(f"{where}: {message}", file=self._file, hint=hint)

    def scenario(self, raw: dict[str, Any]) -> Scenario:
        fixed, servers = raw.pop("fixed", {}), raw.pop("server", {})
        for key, table in (("fixed", fixed), ("server", servers)):
            if not isinstance(table, dict) or (key == "server" and not all(map(_is_table, table.values()))):
                raise self._fault(key, "is no table")
        first = self._stack(raw, "")
        cases = [self._case(raw, fixed, first.on)]
        for name, table in servers.items():
            own = {key: value for key, value in table.items() if key != "fixed"}
            cure = _over(fixed, table.get("fixed", {}))
            cases.append(self._case(_over(raw, own), cure, name))
        named = [case.server for case in cases]
        if len(set(named)) < len(named):
            raise self._fault("server", f"{first.on!r} is described twice", "`on` names the first server")
        return Scenario(
            slug=Path(self._file).name.removesuffix(".toml"),
            title=first.title,
            says=" ".join(first.says.split()),
            file=self._file,
            cases=tuple(cases),
        )

    def _stack(self, raw: Mapping[str, Any], where: str) -> _Stack:
        try:
            return msgspec.convert(raw, _Stack)
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._fault(where or "the scenario", str(error), "see keepalign.scenarios") from error

    def _case(self, raw: Mapping[str, Any], cure: object, server: str) -> Case:
        broken, fixed = self._stack(raw, server), self._stack(_over(raw, cure), f"fixed, {server}")
        for name in broken.traffic:
            if name not in broken.endpoint:
                raise self._fault(f"traffic.{name}", "names no endpoint", f"add [endpoint.{name}]")
        return Case(
            server=server,
            broken=self._path(broken, server),
            fixed=self._path(fixed, server),
            traffic=tuple(self._traffic(name, one) for name, one in broken.traffic.items()),
            events=tuple(Event(one.what, self._time(one.at, "event")) for one in broken.event.values()),
            shows=broken.shows,
            one_way=self._time(broken.one_way, "one_way"),
            scale_at_most=broken.scale_at_most,
        )

    def _time(self, text: str, where: str) -> Duration:
        try:
            return Duration.parse(text)
        except ValueError as error:
            raise self._fault(where, str(error)) from error

    def _traffic(self, name: str, raw: _Traffic) -> Traffic:
        every, run_for = (self._time(text, f"traffic.{name}") for text in (raw.every, raw.run_for))
        plus, jitter = (self._time(text, f"traffic.{name}") for text in (raw.plus, raw.jitter))
        if every <= ZERO or run_for <= ZERO:
            raise self._fault(f"traffic.{name}", "every and run_for are above zero")
        return Traffic(f"/{name}", every, run_for, plus, jitter, raw.size)

    def _path(self, stack: _Stack, server: str) -> RequestPath:
        names = stack.hops if stack.hops is not None else list(stack.hop)
        for name in names:
            if name not in stack.hop:
                raise self._fault(f"hops, {server}", f"there is no [hop.{name}]")
        if not names:
            raise self._fault(f"hops, {server}", "has no hop behind the balancer")
        used = {name: stack.hop[name] for name in names}
        hops = [self._balancer(stack.balancer)]
        for name, raw in used.items():
            hops.append(self._hop(name, raw, proxies=name != names[-1]))
        stops = tuple(
            StopStep(
                container=name,
                signal=raw.stop_signal,
                stop_timeout=self._setting(
                    Product.AWS_ECS, Role.STOP_TIMEOUT, raw.stop_timeout, f"hop.{name}.stop_timeout"
                ),
                # A proxy stops first: what it proxies to outlives it.
                after=tuple(names[: names.index(name)][-1:]),
            )
            for name, raw in used.items()
        )
        delay = self._setting(
            Product.AWS_ALB,
            Role.DEREGISTRATION_DELAY,
            stack.balancer.deregistration_delay,
            "balancer.deregistration_delay",
        )
        lifecycle = Lifecycle(
            platform=Product.AWS_ECS,
            deregistration_delay=delay,
            stops=stops,
            deployment=Deployment(stack.tasks, 100, 200),
            health_check=HealthCheck(
                path=HEALTH_PATH,
                interval=self._said("health_check.interval", Duration.of(s=10)),
                timeout=self._said("health_check.timeout", Duration.of(s=5)),
                healthy_threshold=2,
                unhealthy_threshold=10,
                matcher="200-499",
            ),
        )
        return RequestPath(
            name=server,
            route="/",
            hops=tuple(hops),
            lifecycle=lifecycle,
            endpoints=tuple(self._endpoint(name, raw) for name, raw in stack.endpoint.items()),
        )

    def _endpoint(self, name: str, raw: _Endpoint) -> Endpoint:
        silence = self._time(raw.longest_silence, f"endpoint.{name}")
        whole = self._time(raw.longest_request or raw.longest_silence, f"endpoint.{name}")
        if whole < silence:
            raise self._fault(f"endpoint.{name}", "a request is at least as long as its longest silence")
        return Endpoint(f"/{name}", silence, whole, self._origin)

    def _balancer(self, raw: _Balancer) -> Hop:
        idle = self._setting(Product.AWS_ALB, Role.UPSTREAM_READ, raw.idle_timeout, "balancer.idle_timeout")
        known = defaults_of(Product.AWS_ALB)
        return Hop(
            name="balancer",
            product=Product.AWS_ALB,
            settings={
                Role.SERVER_IDLE: idle,
                Role.UPSTREAM_POOL_IDLE: idle,
                Role.UPSTREAM_READ: idle,
                Role.UPSTREAM_CONNECT: known.setting("target connect timeout (fixed)"),
                Role.CLIENT_CONN_MAX_AGE: known.setting("client_keep_alive"),
            },
        )

    def _hop(self, name: str, raw: _Hop, *, proxies: bool) -> Hop:
        settings: dict[Role, Setting] = {}
        for role in _roles(raw, proxies=proxies):
            settings[role] = self._setting(raw.product, role, None, f"hop.{name}")
        for role, text in raw.settings.items():
            settings[role] = self._setting(raw.product, role, text, f"hop.{name}.settings.{role}")
        if raw.product is Product.GUNICORN and raw.traits.get("worker_class", "sync") == "sync":
            # The sync worker answers `Connection: close` (defaults/gunicorn.toml, keepalive).
            settings[Role.SERVER_IDLE] = Disabled(option="keepalive", origin=self._origin)
        return Hop(
            name=name,
            product=raw.product,
            settings=settings,
            version="of this machine",
            traits=raw.traits,
            joined=(JoinEvidence(JoinBy.REFERENCE, self._origin.note),),
        )

    def _said(self, option: str, value: Duration) -> Setting:
        return Explicit(option=option, origin=self._origin, value=value)

    def _setting(self, product: Product, role: Role, text: str | None, where: str) -> Setting:
        rows = defaults_of(product).for_role(role)
        if role is Role.UPSTREAM_READ and product is Product.AWS_ALB:
            option = "idle_timeout"
        elif rows:
            option = rows[0].option
        else:
            raise self._fault(where, f"{defaults_of(product).label} has no {role} setting")
        match text:
            case None if product is Product.APACHE_HTTPD and role is Role.UPSTREAM_READ:
                value = defaults_of(product).row("Timeout").default
                assert value is not None  # a row with a number
                note = Origin(OriginKind.DEFAULT, note="Apache httpd 2.4: ProxyTimeout unset, so Timeout")
                return Default(option=option, origin=note, value=value)
            case None:
                return defaults_of(product).setting(option)
            case "off":
                return Disabled(option=option, origin=self._origin)
            case "unlimited":
                return Unlimited(option=option, origin=self._origin)
            case _:
                return self._said(option, self._time(text, where))


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _roles(raw: _Hop, *, proxies: bool) -> tuple[Role, ...]:
    """The roles that a hop has though nobody sets them."""
    roles = [Role.SERVER_IDLE]
    if raw.product is Product.GUNICORN:
        if raw.traits.get("worker_class", "sync") == "sync":
            roles.append(Role.HANDLER_TIMEOUT)
        roles.append(Role.SHUTDOWN_GRACE)
    elif raw.product is not Product.NODEJS or raw.traits.get("graceful") == "on":
        roles.append(Role.SHUTDOWN_GRACE)
    if proxies:
        roles.append(Role.UPSTREAM_READ)
        if raw.traits.get("pool") != "off":
            roles.append(Role.UPSTREAM_POOL_IDLE)
    return tuple(roles)
