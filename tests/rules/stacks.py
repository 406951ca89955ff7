"""Stacks written in TOML, for tests of everything that starts from a Stack.

    [[path]]
    route = "/"
    deregistration_delay = "0s"                    # absent: no lifecycle
    platform = "aws_ecs"                           # the default
    stops = [{ container = "httpd", signal = "SIGWINCH", stop_timeout = "30s", after = [] }]
    spot = true                                    # absent: not known
    health_check = { path = "/", interval = "30s", timeout = "5s", unhealthy = 2 }
    health_check_grace = "0s"                      # absent: nothing ends slow starts
    startup = "90s"                                # absent: not declared
    clients = [{ name = "app", pool_idle = "90s", timeout = "30s", calls = "/" }]
    endpoints = [{ path = "/search", silence = "25s", request = "25s" }]

    [[path.hop]]
    name = "httpd"
    product = "apache_httpd"
    settings = { server_idle = "5s" }              # role to value

A value is "5s" (written by somebody), "default 5s", "off", "unlimited", "unknown: why", or a table of
`value` and `option`, `literal` or `losers`. Every written value stands on a line of its own in a file
"stack.conf", as `hop.option = seconds`, so that it can be edited and read again; settings with the same key
share the line. A stop has `pre_stop`, too. What clients declare is written nowhere. A value "by hand 5s" is
written nowhere; "unset unlimited" is unlimited until an edit adds its line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keepalign.model.lifecycle import HealthCheck, Lifecycle, StopStep
from keepalign.model.path import Client, Hop, JoinBy, JoinEvidence, Product, RequestPath, Stack
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unknown, Unlimited
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.units import Duration

FILE: Final = "stack.conf"

OPTIONS: Final = {
    (Product.AWS_ALB, Role.UPSTREAM_READ): "idle_timeout",
    (Product.AWS_ALB, Role.UPSTREAM_POOL_IDLE): "idle_timeout",
    (Product.AWS_ALB, Role.SERVER_IDLE): "idle_timeout",
    (Product.AWS_ALB, Role.DEREGISTRATION_DELAY): "deregistration_delay",
    (Product.AWS_ECS, Role.STOP_TIMEOUT): "stopTimeout",
    (Product.AWS_ECS, Role.PRE_STOP): "preStop",
    (Product.AWS_ECS, Role.HEALTH_CHECK_GRACE): "healthCheckGracePeriodSeconds",
    (Product.AWS_ECS, Role.STARTUP): "startup",
    (Product.AWS_CLOUDFRONT, Role.UPSTREAM_POOL_IDLE): "origin_keepalive_timeout",
    (Product.AWS_CLOUDFRONT, Role.UPSTREAM_READ): "origin_read_timeout",
    (Product.AWS_NLB, Role.L4_IDLE): "tcp.idle_timeout.seconds",
    (Product.GO, Role.SERVER_IDLE): "IdleTimeout",
    (Product.GO, Role.HANDLER_TIMEOUT): "WriteTimeout",
    (Product.NODEJS, Role.SERVER_HEADER_READ): "server.headersTimeout",
    (Product.NODEJS, Role.SERVER_BODY_READ): "server.timeout",
    (Product.NGINX, Role.TCP_KEEPALIVE): "so_keepalive",
    (Product.ENVOY, Role.UPSTREAM_TOTAL): "timeout",
    (Product.ENVOY, Role.STREAM_IDLE): "stream_idle_timeout",
    (Product.PHP_FPM, Role.HANDLER_TIMEOUT): "request_terminate_timeout",
    (Product.PHP_FPM, Role.SHUTDOWN_GRACE): "process_control_timeout",
    (Product.APACHE_HTTPD, Role.SERVER_IDLE): "KeepAliveTimeout",
    (Product.APACHE_HTTPD, Role.SHUTDOWN_GRACE): "GracefulShutdownTimeout",
    (Product.APACHE_HTTPD, Role.UPSTREAM_READ): "Timeout",
    (Product.APACHE_HTTPD, Role.UPSTREAM_POOL_IDLE): "ProxyPass ttl=",
    (Product.GUNICORN, Role.SERVER_IDLE): "keepalive",
    (Product.GUNICORN, Role.HANDLER_TIMEOUT): "timeout",
    (Product.GUNICORN, Role.SHUTDOWN_GRACE): "graceful_timeout",
    (Product.NGINX, Role.SERVER_IDLE): "keepalive_timeout",
    (Product.NGINX, Role.UPSTREAM_READ): "proxy_read_timeout",
    (Product.NGINX, Role.UPSTREAM_POOL_IDLE): "upstream keepalive_timeout",
    (Product.NGINX, Role.SHUTDOWN_GRACE): "worker_shutdown_timeout",
    (Product.UVICORN, Role.SERVER_IDLE): "timeout_keep_alive",
    (Product.UVICORN, Role.SHUTDOWN_GRACE): "timeout_graceful_shutdown",
    (Product.HYPERCORN, Role.SERVER_IDLE): "keep_alive_timeout",
    (Product.HYPERCORN, Role.SHUTDOWN_GRACE): "graceful_timeout",
    (Product.NODEJS, Role.SERVER_IDLE): "server.keepAliveTimeout",
    (Product.NODEJS, Role.SHUTDOWN_GRACE): "server.close()",
}


@dataclass(frozen=True, slots=True)
class Built:
    """A stack, and the one file that writes its values."""

    case: Mapping[str, Any]
    stack: Stack
    sources: Mapping[str, SourceText]

    def reread(self, overlay: Mapping[str, bytes]) -> Stack:
        """The stack as the edited file has it."""
        return build(self.case, overlay.get(FILE)).stack


def load(path: Path) -> Built:
    """The stack of one case file."""
    return build(tomllib.loads(path.read_text("utf-8")))


def parse(text: str) -> Built:
    """The stack of TOML text."""
    return build(tomllib.loads(text))


def build(case: Mapping[str, Any], conf: bytes | None = None) -> Built:
    """The stack of a case; with `conf`, its written values are those of that file."""
    values = _written(case)
    if conf is None:
        conf = b"".join(f"{key} = {seconds:g}\n".encode() for key, seconds in values.items())
    source = SourceText(FILE, conf)
    reader = _Reader(source)
    paths = tuple(_path(raw, reader) for raw in case["path"])
    return Built(case, Stack(paths), {FILE: source})


def _settings(raw: Mapping[str, Any]) -> list[tuple[str, str, Product, Role, Any]]:
    """(hop, literal key, product, role, value) of every setting of one path."""
    found = []
    for hop in raw["hop"]:
        product = Product(hop["product"])
        for word, value in hop.get("settings", {}).items():
            found.append((hop["name"], product, Role(word), value))
    for stop in raw.get("stops", ()):
        found.append((stop["container"], Product.AWS_ECS, Role.STOP_TIMEOUT, stop["stop_timeout"]))
    found += [
        (stop["container"], Product.AWS_ECS, Role.PRE_STOP, stop["pre_stop"])
        for stop in raw.get("stops", ())
        if "pre_stop" in stop
    ]
    found += [
        ("service", Product.AWS_ECS, Role(word), raw[word])
        for word in ("health_check_grace", "startup")
        if word in raw
    ]
    if "deregistration_delay" in raw:
        value = raw["deregistration_delay"]
        found.append((raw["hop"][0]["name"], Product.AWS_ALB, Role.DEREGISTRATION_DELAY, value))
    keyed = []
    for name, product, role, value in found:
        table = value if isinstance(value, dict) else {}
        option = table.get("option", OPTIONS.get((product, role), role.value))
        keyed.append((table.get("literal", f"{name}.{option}"), option, product, role, value))
    return keyed


def _text(value: Any) -> str:
    return str(value["value"] if isinstance(value, dict) else value)


def _written(case: Mapping[str, Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for raw in case["path"]:
        for key, _, _, _, value in _settings(raw):
            if _text(value)[0].isdigit():
                values[key] = Duration.parse(_text(value)).seconds
    return values


class _Reader:
    """Reads `key = seconds` lines back, with spans."""

    def __init__(self, source: SourceText) -> None:
        self._lines: dict[str, tuple[int, int]] = {}
        position = 0
        self._source = source
        for line in source.data.splitlines(keepends=True):
            key, _, number = line.partition(b" = ")
            start = position + len(key) + 3
            self._lines[key.decode()] = (start, start + len(number.rstrip(b"\n")))
            position += len(line)

    def setting(self, key: str, option: str, value: Any) -> Setting:
        text = _text(value)
        nowhere = Origin(OriginKind.ASSUMED)
        documented = Origin(OriginKind.DEFAULT, note="documented default")
        if text == "off":
            return Disabled(option=option, origin=documented)
        if text == "unlimited":
            return Unlimited(option=option, origin=documented)
        if text == "unset unlimited" and key not in self._lines:
            end = len(self._source.data)
            site = Site(self._source.span(end, end), f"{key} = {{value}}\n")
            return Unlimited(option=option, origin=documented, site=site)
        if text.startswith("unknown:"):
            return Unknown(option=option, origin=nowhere, reason=text.removeprefix("unknown:").strip())
        if text.startswith("default "):
            return Default(
                option=option, origin=documented, value=Duration.parse(text.removeprefix("default "))
            )
        if text.startswith("by hand "):
            origin = Origin(OriginKind.COMMAND_LINE, note="--in-front")
            return Explicit(option=option, origin=origin, value=Duration.parse(text.removeprefix("by hand ")))
        start, end = self._lines[key]
        span = self._source.span(start, end)
        number = float(self._source.data[start:end])
        lost = value.get("losers", ()) if isinstance(value, dict) else ()
        losers = tuple(Step(span, what) for what in lost)
        origin = Origin(OriginKind.FILE, (Step(span, key),), losers=losers)
        return Explicit(option=option, origin=origin, site=Site(span), value=Duration.of(s=number))


def _path(raw: Mapping[str, Any], reader: _Reader) -> RequestPath:
    settings: dict[str, dict[Role, Setting]] = {}
    keyed = _settings(raw)
    names = [(hop["name"], word) for hop in raw["hop"] for word in hop.get("settings", {})]
    for (name, _), (key, option, _, role, value) in zip(names, keyed, strict=False):
        settings.setdefault(name, {})[role] = reader.setting(key, option, value)
    lifecycle = None
    if "deregistration_delay" in raw:
        of_platform = {(name, role): reader.setting(name, o, v) for name, o, _, role, v in keyed}
        key, option, _, _, value = keyed[-1]
        delay = reader.setting(key, option, value)
        stops = tuple(
            StopStep(
                container=stop["container"],
                signal=stop.get("signal", "SIGTERM"),
                stop_timeout=reader.setting(stop_key, stop_option, stop_value),
                after=tuple(stop.get("after", ())),
                pre_stop=of_platform.get((f"{stop['container']}.preStop", Role.PRE_STOP)),
            )
            for stop, (stop_key, stop_option, _, _, stop_value) in zip(
                raw.get("stops", ()), keyed[len(names) :], strict=False
            )
        )
        lifecycle = Lifecycle(
            raw.get("platform", "aws_ecs"),
            delay,
            stops,
            health_check=_health_check(raw["health_check"]) if "health_check" in raw else None,
            health_check_grace=of_platform.get(
                ("service.healthCheckGracePeriodSeconds", Role.HEALTH_CHECK_GRACE)
            ),
            spot=raw.get("spot"),
            startup=of_platform.get(("service.startup", Role.STARTUP)),
        )
    endpoints = tuple(_endpoint(e) for e in raw.get("endpoints", ()))
    hops = tuple(
        Hop(
            name=hop["name"],
            product=Product(hop["product"]),
            settings=settings.get(hop["name"], {}),
            version=hop.get("version", ""),
            traits=hop.get("traits", {}),
            joined=tuple(JoinEvidence(JoinBy(by), by) for by in hop.get("joined", ())),
        )
        for hop in raw["hop"]
    )
    route = raw.get("route", "/")
    clients = tuple(_client(client) for client in raw.get("clients", ()))
    return RequestPath(raw.get("name", f"orders {route}"), route, hops, lifecycle, endpoints, clients)


def _client(raw: Mapping[str, str]) -> Client:
    def setting(word: str) -> Setting | None:
        if word not in raw:
            return None
        origin = Origin(OriginKind.DECLARED, note="keepalign.toml")
        if raw[word] == "unlimited":
            return Unlimited(option=word, origin=origin)
        return Explicit(option=word, origin=origin, value=Duration.parse(raw[word]))

    return Client(raw["name"], setting("pool_idle"), setting("timeout"), raw.get("calls", "/"))


def _health_check(raw: Mapping[str, Any]) -> HealthCheck:
    def setting(word: str) -> Setting:
        text = raw[word]
        option = f"health_check.{word}"
        if text.startswith("default "):
            origin = Origin(OriginKind.DEFAULT, note="documented default")
            return Default(option=option, origin=origin, value=Duration.parse(text.removeprefix("default ")))
        if text.startswith("unknown:"):
            return Unknown(option=option, origin=Origin(OriginKind.ASSUMED), reason=text[8:].strip())
        return Explicit(option=option, origin=Origin(OriginKind.API), value=Duration.parse(text))

    return HealthCheck(
        path=raw.get("path", "/"),
        interval=setting("interval"),
        timeout=setting("timeout"),
        healthy_threshold=raw.get("healthy", 5),
        unhealthy_threshold=raw["unhealthy"],
        matcher="200",
    )


def _endpoint(raw: Mapping[str, str]) -> Endpoint:
    return Endpoint(
        path=raw["path"],
        longest_silence=Duration.parse(raw["silence"]) if "silence" in raw else None,
        longest_request=Duration.parse(raw["request"]) if "request" in raw else None,
        origin=Origin(OriginKind.DECLARED, note="keepalign.toml"),
    )


STORY: Final = """
[[path]]
route = "/"
deregistration_delay = "0s"
endpoints = [
  { path = "/search", silence = "25s", request = "25s" },
  { path = "/exports", silence = "1s", request = "45s" },
]

[[path.hop]]
name = "aws_lb.this"
product = "aws_alb"
settings = { upstream_read = "60s", upstream_pool_idle = "60s" }

[[path.hop]]
name = "httpd"
product = "apache_httpd"
version = "2.4"
traits = { mpm = "event" }
settings = { server_idle = "5s", upstream_read = "20s", upstream_pool_idle = "unlimited" }

[[path.hop]]
name = "api"
product = "gunicorn"
version = "27.0.1"
traits = { worker_class = "sync" }
settings = { server_idle = "off", handler_timeout = "30s" }

[[path]]
route = "/reports"
deregistration_delay = "0s"
endpoints = [{ path = "/reports", silence = "90s", request = "90s" }]

[[path.hop]]
name = "aws_lb.this"
product = "aws_alb"
settings = { upstream_read = "60s", upstream_pool_idle = "60s" }

[[path.hop]]
name = "httpd"
product = "apache_httpd"
version = "2.4"
traits = { mpm = "event" }

[path.hop.settings]
server_idle = "5s"
upstream_read = { value = "300s", option = "ProxyPass timeout=" }
upstream_pool_idle = "unlimited"

[[path.hop]]
name = "reports"
product = "gunicorn"
version = "27.0.1"
traits = { worker_class = "sync" }
settings = { server_idle = "off", handler_timeout = "100s" }
"""
"""The story's stack with its faults, as `examples/orders-api/broken` has them."""
