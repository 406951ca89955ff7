"""The documented defaults: complete rows, known words, and values that agree with one another."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from keepalign import defaults
from keepalign.defaults import Documented
from keepalign.model.path import Product
from keepalign.model.setting import Default, Disabled, Setting, Unknown, Unlimited
from keepalign.model.source import OriginKind, Unit
from keepalign.model.timers import Role
from keepalign.units import ZERO, Duration

ROWS = [(product, row) for product in Product for row in defaults.load(product).rows]
IDS = [f"{product} {row.option}" for product, row in ROWS]
every_row = pytest.mark.parametrize(("product", "row"), ROWS, ids=IDS)

KEYS = {
    "option", "role", "default_s", "since", "until", "unit", "minimum_s", "maximum_s", "granularity_s",
    "late_by_s", "scalable", "evidence", "note", "source",
}  # fmt: skip
EVIDENCE = {"doc", "source", "measured", "secondhand", "unverified"}
COUNTS = {Role.SERVER_MAX_REQUESTS}
"""Roles that are no durations."""

DOCUMENTED = {
    # Elastic Load Balancing: load balancer attributes, target group attributes, health checks.
    (Product.AWS_ALB, "idle_timeout"): 60,
    (Product.AWS_ALB, "client_keep_alive"): 3600,
    (Product.AWS_ALB, "target connect timeout (fixed)"): 10,
    (Product.AWS_ALB, "deregistration_delay"): 300,
    (Product.AWS_ALB, "health_check.interval"): 30,
    (Product.AWS_ALB, "health_check.timeout"): 5,
    # ECS: ContainerDefinition (Fargate), CreateService.
    (Product.AWS_ECS, "stopTimeout"): 30,
    (Product.AWS_ECS, "health_check_grace_period_seconds"): 0,
    # Compose file reference; supervisord's configuration.
    (Product.DOCKER, "stop_grace_period"): 10,
    (Product.SUPERVISORD, "stopwaitsecs"): 10,
    # Apache httpd 2.4: core, mod_proxy, mpm_common.
    (Product.APACHE_HTTPD, "KeepAliveTimeout"): 5,
    (Product.APACHE_HTTPD, "MaxKeepAliveRequests"): "none",
    (Product.APACHE_HTTPD, "Timeout"): 60,
    (Product.APACHE_HTTPD, "ProxyTimeout"): "none",
    (Product.APACHE_HTTPD, "ProxyPass timeout="): "none",
    (Product.APACHE_HTTPD, "ProxyPass ttl="): "unlimited",
    (Product.APACHE_HTTPD, "GracefulShutdownTimeout"): "unlimited",
    # gunicorn/config.py.
    (Product.GUNICORN, "keepalive"): 2,
    (Product.GUNICORN, "timeout"): 30,
    (Product.GUNICORN, "graceful_timeout"): 30,
    # uvicorn/config.py, hypercorn/config.py.
    (Product.UVICORN, "timeout_keep_alive"): 5,
    (Product.UVICORN, "timeout_graceful_shutdown"): "unlimited",
    (Product.HYPERCORN, "keep_alive_timeout"): 5,
    (Product.HYPERCORN, "graceful_timeout"): 3,
    (Product.HYPERCORN, "read_timeout"): "unlimited",
    # ingress-nginx: ConfigMap, internal/ingress/controller/config/config.go.
    (Product.INGRESS_NGINX, "keep-alive"): 75,
    (Product.INGRESS_NGINX, "client-header-timeout"): 60,
    (Product.INGRESS_NGINX, "client-body-timeout"): 60,
    (Product.INGRESS_NGINX, "upstream-keepalive-timeout"): 60,
    (Product.INGRESS_NGINX, "proxy-connect-timeout"): 5,
    (Product.INGRESS_NGINX, "proxy-read-timeout"): 60,
    (Product.INGRESS_NGINX, "proxy-next-upstream-timeout"): "unlimited",
    (Product.INGRESS_NGINX, "worker-shutdown-timeout"): 240,
    # Kubernetes: API reference, pod lifecycle.
    (Product.KUBERNETES, "terminationGracePeriodSeconds"): 30,
    (Product.KUBERNETES, "lifecycle.preStop"): 0,
    (Product.KUBERNETES, "removal from EndpointSlices"): "unlimited",
    (Product.KUBERNETES, "initialDelaySeconds"): 0,
    (Product.KUBERNETES, "periodSeconds"): 10,
    (Product.KUBERNETES, "timeoutSeconds"): 1,
    # nginx: core, http core, proxy and upstream modules.
    (Product.NGINX, "keepalive_timeout"): 75,
    (Product.NGINX, "client_body_timeout"): 60,
    (Product.NGINX, "proxy_connect_timeout"): 60,
    (Product.NGINX, "proxy_read_timeout"): 60,
    (Product.NGINX, "upstream keepalive_timeout"): 60,
    (Product.NGINX, "proxy_next_upstream_timeout"): "unlimited",
    (Product.NGINX, "worker_shutdown_timeout"): "unlimited",
    # Node.js: http.
    (Product.NODEJS, "server.keepAliveTimeout"): 5,
    (Product.NODEJS, "Fastify keepAliveTimeout"): 72,
    (Product.NODEJS, "next start --keepAliveTimeout"): 5,
    (Product.NODEJS, "server.close()"): "unlimited",
    (Product.NODEJS, "server.headersTimeout"): 60,
    (Product.NODEJS, "server.requestTimeout"): 300,
    (Product.NODEJS, "server.timeout"): "unlimited",
    # Go's net/http, Echo, Fiber, fasthttp.
    (Product.GO, "Server.IdleTimeout"): "unlimited",
    (Product.GO, "Server.ReadTimeout"): "unlimited",
    (Product.GO, "Server.ReadHeaderTimeout"): "unlimited",
    (Product.GO, "Server.WriteTimeout"): "unlimited",
    (Product.GO, "Server.Shutdown"): "unlimited",
    (Product.GO, "Echo 5 StartConfig IdleTimeout"): 30,
    (Product.GO, "Echo 5 StartConfig ReadTimeout"): 30,
    (Product.GO, "Echo 5 StartConfig GracefulTimeout"): 10,
    (Product.GO, "fasthttp Server.IdleTimeout"): "unlimited",
    (Product.GO, "fasthttp Server.ReadTimeout"): "unlimited",
    (Product.GO, "fasthttp Server.WriteTimeout"): "unlimited",
    (Product.GO, "fiber.Config IdleTimeout"): "unlimited",
    (Product.GO, "fiber.Config ReadTimeout"): "unlimited",
    (Product.GO, "fiber.Config WriteTimeout"): "unlimited",
    # Tomcat's connector, service and context; Spring Boot's ServerProperties.
    (Product.TOMCAT, "keepAliveTimeout"): 60,
    (Product.TOMCAT, "keepAliveTimeout (shipped server.xml)"): 20,
    (Product.TOMCAT, "connectionTimeout"): 60,
    (Product.TOMCAT, "connectionTimeout (shipped server.xml)"): 20,
    (Product.TOMCAT, "maxKeepAliveRequests"): "none",
    (Product.TOMCAT, "gracefulStopAwaitMillis"): 0,
    (Product.TOMCAT, "unloadDelay"): 2,
    (Product.TOMCAT, "server.tomcat.keep-alive-timeout"): 60,
    (Product.TOMCAT, "server.tomcat.connection-timeout"): 60,
    (Product.TOMCAT, "server.tomcat.max-keep-alive-requests"): "none",
    (Product.TOMCAT, "spring.lifecycle.timeout-per-shutdown-phase"): 30,
    (Product.JETTY, "server.jetty.connection-idle-timeout"): 30,
    (Product.JETTY, "spring.lifecycle.timeout-per-shutdown-phase"): 30,
    (Product.UNDERTOW, "server.undertow.no-request-timeout"): 60,
    (Product.UNDERTOW, "spring.lifecycle.timeout-per-shutdown-phase"): 30,
    (Product.REACTOR_NETTY, "server.netty.idle-timeout"): "unlimited",
    (Product.REACTOR_NETTY, "server.netty.max-keep-alive-requests"): "none",
    (Product.REACTOR_NETTY, "spring.lifecycle.timeout-per-shutdown-phase"): 30,
    # KestrelServerLimits, HostOptions; the newest of each.
    (Product.KESTREL, "Limits.KeepAliveTimeout"): 130,
    (Product.KESTREL, "Limits.RequestHeadersTimeout"): 30,
    (Product.KESTREL, "HostOptions.ShutdownTimeout"): 30,
    # HAProxy's configuration manual; the newest of each.
    (Product.HAPROXY, "timeout http-keep-alive"): "unlimited",
    (Product.HAPROXY, "timeout http-request"): "unlimited",
    (Product.HAPROXY, "timeout client"): "unlimited",
    (Product.HAPROXY, "timeout connect"): "unlimited",
    (Product.HAPROXY, "timeout server"): "unlimited",
    (Product.HAPROXY, "timeout tunnel"): "unlimited",
    (Product.HAPROXY, "pool-purge-delay"): 5,
    (Product.HAPROXY, "hard-stop-after"): "unlimited",
    (Product.HAPROXY, "grace"): 0,
    # Envoy's API: connection manager, route, cluster, protocol; its command line.
    (Product.ENVOY, "common_http_protocol_options.idle_timeout"): 3600,
    (Product.ENVOY, "request_headers_timeout"): "unlimited",
    (Product.ENVOY, "request_timeout"): "unlimited",
    (Product.ENVOY, "stream_idle_timeout"): 300,
    (Product.ENVOY, "max_connection_duration"): "unlimited",
    (Product.ENVOY, "route timeout"): 15,
    (Product.ENVOY, "route idle_timeout"): "none",
    (Product.ENVOY, "per_try_timeout"): "none",
    (Product.ENVOY, "connect_timeout"): 5,
    (Product.ENVOY, "cluster common_http_protocol_options.idle_timeout"): 3600,
    (Product.ENVOY, "--drain-time-s"): 600,
    # Traefik: entry points, serversTransport; the newest of each.
    (Product.TRAEFIK, "respondingTimeouts.idleTimeout"): 180,
    (Product.TRAEFIK, "respondingTimeouts.readTimeout"): 60,
    (Product.TRAEFIK, "respondingTimeouts.writeTimeout"): "unlimited",
    (Product.TRAEFIK, "lifeCycle.graceTimeOut"): 10,
    (Product.TRAEFIK, "lifeCycle.requestAcceptGraceTimeout"): 0,
    (Product.TRAEFIK, "keepAliveMaxTime"): "unlimited",
    (Product.TRAEFIK, "forwardingTimeouts.dialTimeout"): 30,
    (Product.TRAEFIK, "forwardingTimeouts.responseHeaderTimeout"): "unlimited",
    (Product.TRAEFIK, "forwardingTimeouts.idleConnTimeout"): 90,
    # Caddy: modules/caddyhttp, reverse_proxy; the newest of each.
    (Product.CADDY, "timeouts idle"): 300,
    (Product.CADDY, "timeouts read_header"): 60,
    (Product.CADDY, "timeouts read_body"): "unlimited",
    (Product.CADDY, "timeouts write"): "unlimited",
    (Product.CADDY, "grace_period"): "unlimited",
    (Product.CADDY, "shutdown_delay"): 0,
    (Product.CADDY, "dial_timeout"): 3,
    (Product.CADDY, "response_header_timeout"): "unlimited",
    (Product.CADDY, "read_timeout"): "unlimited",
    (Product.CADDY, "keepalive"): 120,
    (Product.CADDY, "lb_try_duration"): "disabled",
    # CloudFront: origin settings; Elastic Load Balancing: listeners of Network Load Balancers.
    (Product.AWS_CLOUDFRONT, "origin_read_timeout"): 30,
    (Product.AWS_CLOUDFRONT, "origin_keepalive_timeout"): 5,
    (Product.AWS_CLOUDFRONT, "connection_timeout"): 10,
    (Product.AWS_NLB, "tcp_idle_timeout_seconds"): 350,
    # php.net: FPM's configuration.
    (Product.PHP_FPM, "request_terminate_timeout"): "unlimited",
    (Product.PHP_FPM, "process_control_timeout"): 0,
    # Puma's History.md and configuration.rb; the newest of each.
    (Product.PUMA, "persistent_timeout"): 65,
    (Product.PUMA, "worker_shutdown_timeout"): 30,
    (Product.PUMA, "force_shutdown_after"): "unlimited",
    # uWSGI: core/init.c, core/uwsgi.c, plugins/http/http.c.
    (Product.UWSGI, "http-keepalive"): "disabled",
    (Product.UWSGI, "http-timeout"): 60,
    (Product.UWSGI, "socket-timeout"): 4,
    (Product.UWSGI, "http-headers-timeout"): 60,
    (Product.UWSGI, "harakiri"): "unlimited",
    (Product.UWSGI, "worker-reload-mercy"): 60,
}
"""Vendor's values, written down a second time: a slip of the pen in a table changes what findings say."""


def test_values_are_those_that_the_vendors_document() -> None:
    found = {
        (product, row.option): row.default.seconds if row.default is not None else row.kind
        for product, row in ROWS
    }
    assert found == DOCUMENTED


@pytest.mark.parametrize("product", Product)
def test_table_of_a_product_is_read_whole(product: Product) -> None:
    raw = tomllib.loads((files(defaults) / f"{product}.toml").read_text("utf-8"))
    assert set(raw) == {"label", "checked", "setting"}
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", raw["checked"])
    assert all(set(row) <= KEYS for row in raw["setting"]), "a key that nobody reads"
    loaded = defaults.load(product)
    assert (loaded.label, len(loaded.rows)) == (raw["label"], len(raw["setting"]))
    assert len({(row.option, row.since) for row in loaded.rows}) == len(loaded.rows)


@every_row
def test_row_says_on_what_it_rests(product: Product, row: Documented) -> None:
    assert row.source.startswith("https://")
    assert set(row.evidence.split("+")) <= EVIDENCE


@every_row
def test_row_uses_known_words(product: Product, row: Documented) -> None:
    assert row.role in set(Role)
    assert row.kind in ("value", "none", "unlimited", "disabled")
    assert row.unit in Unit
    assert row.scalable or row.note, "what cannot be scaled says why"
    for version in (row.since, row.until):
        assert re.fullmatch(r"(\d+(\.\d+)*)?", version)


@every_row
def test_numbers_of_a_row_are_in_order(product: Product, row: Documented) -> None:
    lowest = row.minimum if row.minimum is not None else ZERO
    highest = row.maximum if row.maximum is not None else Duration.of(s=10**7)
    assert ZERO <= lowest < highest
    if row.default is not None:
        assert lowest <= row.default <= highest
    if row.granularity is not None:
        assert row.granularity > ZERO
        for value in (row.default, row.minimum, row.maximum):
            assert value is None or value.us % row.granularity.us == 0
    assert row.late_by >= ZERO


RUN_BY_THE_LAB = (
    Product.APACHE_HTTPD, Product.GUNICORN, Product.HYPERCORN, Product.NGINX, Product.NODEJS, Product.UVICORN,
)  # fmt: skip


@every_row
def test_row_has_what_the_lab_needs_to_run_it(product: Product, row: Documented) -> None:
    """A time that a server takes can be divided only where its steps are known, and how late it fires."""
    if Role(row.role) in COUNTS:
        assert row.granularity is None
        return
    if product not in RUN_BY_THE_LAB:
        return
    assert row.granularity is not None
    raw = tomllib.loads((files(defaults) / f"{product}.toml").read_text("utf-8"))
    (written,) = [
        one for one in raw["setting"] if (one["option"], one.get("since", "")) == (row.option, row.since)
    ]
    fires = row.role in (Role.SERVER_IDLE, Role.UPSTREAM_READ, Role.HANDLER_TIMEOUT)
    assert ("late_by_s" in written) or not fires


@every_row
def test_setting_of_a_row_is_its_kind_with_its_origin(product: Product, row: Documented) -> None:
    kinds: dict[str, type[Setting]] = {
        "value": Default, "none": Unknown, "unlimited": Unlimited, "disabled": Disabled,
    }  # fmt: skip
    setting = defaults.load(product).setting(row.option, version=row.since or "0")
    assert type(setting) is kinds[row.kind]
    assert (setting.option, setting.origin.kind) == (row.option, OriginKind.DEFAULT)
    assert setting.origin.source == row.source
    assert setting.origin.note.startswith(f"{defaults.load(product).label} default")


def test_option_that_is_not_in_the_table_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError, match="no option 'nope'"):
        defaults.load(Product.GUNICORN).row("nope")


def test_rows_of_a_role_are_in_the_order_of_the_file() -> None:
    rows = defaults.load(Product.APACHE_HTTPD).for_role(Role.UPSTREAM_READ)
    assert [row.option for row in rows] == ["ProxyTimeout", "ProxyPass timeout="]


def test_versions_are_told_in_words() -> None:
    row = defaults.load(Product.GUNICORN).row("timeout")
    assert row.versions == ""


def versioned(*rows: tuple[float, str, str]) -> defaults.ProductDefaults:
    template = defaults.load(Product.NODEJS).row("server.keepAliveTimeout")
    made = tuple(replace(template, default=Duration.of(s=s), since=a, until=b) for s, a, b in rows)
    return defaults.ProductDefaults(Product.NODEJS, "Node.js", "2026-11", made)


@pytest.mark.parametrize(
    ("version", "seconds"),
    [("20.18.0", 5), ("26", 5), ("27", 65), ("27.0.0", 65), ("v27.1-alpine", 65), ("3", 5)],
)
def test_default_is_that_of_the_version(version: str, seconds: float) -> None:
    made = versioned((5, "", "27"), (65, "27", ""))
    setting = made.setting("server.keepAliveTimeout", version=version)
    assert isinstance(setting, Default)
    assert setting.value == Duration.of(s=seconds)


def test_default_of_an_unknown_version_names_them_all() -> None:
    setting = versioned((5, "", "27"), (65, "27", "")).setting("server.keepAliveTimeout")
    assert isinstance(setting, Unknown)
    assert "5 s before 27; 65 s since 27" in setting.reason
