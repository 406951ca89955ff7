"""Kinds of timer, in the words of `defaults/`.

A role says what the number measures: silence on a connection, one exchange, the life of a process. Rules
compare roles of neighbouring hops; they never compare a silence limit with a lifetime unawares.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a setting limits. The values are the `role` words of `defaults/*.toml`."""

    SERVER_IDLE = "server_idle"
    """As a server: how long an idle keep-alive connection waits for its next request."""
    SERVER_MAX_REQUESTS = "server_max_requests"
    """As a server: requests on one connection before it is closed. A count, never a Duration."""
    SERVER_BODY_READ = "server_body_read"
    """As a server: wait between two reads from, or writes to, the client."""
    SERVER_HEADER_READ = "server_header_read"
    """As a server: from the first byte of a request's head, or from the connect, to the end of that head."""
    SERVER_REQUEST_READ = "server_request_read"
    """As a server: time to receive one whole request, its body included."""
    UPSTREAM_CONNECT = "upstream_connect"
    """As a client: time to connect to the next hop."""
    UPSTREAM_READ = "upstream_read"
    """As a client: longest silence of the next hop, before and between the bytes of its answer."""
    UPSTREAM_POOL_IDLE = "upstream_pool_idle"
    """As a client: how long an idle connection to the next hop stays in the pool for re-use."""
    UPSTREAM_TOTAL = "upstream_total"
    """As a client: limit on one whole exchange with the next hop, attempts included (Envoy `timeout`)."""
    UPSTREAM_ATTEMPT = "upstream_attempt"
    """As a client: limit on one attempt of an exchange (Envoy `per_try_timeout`)."""
    UPSTREAM_RETRY = "upstream_retry"
    """As a client: time within which a failed exchange is tried again (`proxy_next_upstream_timeout`).
    Disabled where one that ran into a time-out is not."""
    STREAM_IDLE = "tunnel_idle"
    """Either side: longest silence of an upgraded connection or a stream (HAProxy `timeout tunnel`)."""
    L4_IDLE = "l4_idle"
    """Of a balancer that passes bytes on: silence after which it forgets a connection, telling nobody."""
    TCP_KEEPALIVE = "tcp_keepalive"
    """Silence after which TCP probes are sent. Holds a flow open; ends no idle HTTP connection."""
    HANDLER_TIMEOUT = "handler_timeout"
    """Limit on producing one whole response, enforced on the worker (gunicorn sync: the worker is killed)."""
    CLIENT_CONN_MAX_AGE = "server_conn_max_age"
    """As a server: greatest age of a client connection, busy or not."""
    SHUTDOWN_GRACE = "shutdown_grace"
    """From the stop signal: how long the server itself lets running requests finish."""
    SHUTDOWN_DELAY = "shutdown_delay"
    """From the stop signal: how long the server still accepts requests before it begins to stop."""
    PRE_STOP = "pre_stop"
    """How long the platform waits before it sends the stop signal (Kubernetes `preStop`)."""
    DEREGISTRATION_DELAY = "deregistration_delay"
    """From deregistration: how long the balancer waits before it cuts a target's connections."""
    STOP_TIMEOUT = "stop_timeout"
    """From the stop signal to SIGKILL, by the platform."""
    HEALTH_CHECK_GRACE = "health_check_grace"
    """From task start: how long the scheduler ignores failing health checks."""
    STARTUP = "startup"
    """How long a start may take before it counts as failed."""
    HEALTH_CHECK_INTERVAL = "health_check_interval"
    HEALTH_CHECK_TIMEOUT = "health_check_timeout"
