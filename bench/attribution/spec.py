"""What an incident is: a stack, a balancer, requests, and what is done to the targets meanwhile.

Plain data, made from a seed by `incidents`; seconds are real ones, as the whole corpus runs at time factor 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a task runs."""

    APACHE = "apache"
    """Apache (event), a proxy to gunicorn."""
    NGINX = "nginx"
    """nginx, a proxy to gunicorn."""
    GTHREAD = "gunicorn-gthread"
    SYNC = "gunicorn-sync"
    NODE = "node"
    SMALL = "small"
    """`_server.py`, for what no real server does on demand."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Settings of a task, as its server is told them.

    Args:
        keep_alive: of the server behind the balancer. Node adds a second of its own.
        proxy_read: of Apache or nginx. worker_timeout: of gunicorn sync.
        stop_signal: to the front server. graceful: it then finishes its requests.
        grace: for how long it may take to do so. stop_timeout: until SIGKILL.
        inner_keep_alive: of the application behind nginx, which then pools its connections; None: no pool.
    """

    kind: Kind
    keep_alive: float
    proxy_read: float | None = None
    worker_timeout: float | None = None
    workers: int = 2
    threads: int = 64
    stop_signal: str = "SIGTERM"
    graceful: bool = True
    grace: float = 30
    stop_timeout: float = 30
    inner_keep_alive: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Args:
        at: when the client sends it, after the start. client: number of the client.
        work, status, size, fault: what the application does, see `_app.py`.
        patience: after which the client leaves. partial: it never sends the end of its request.
        raw: bytes sent instead of a request; empty: none.
    """

    at: float
    root: str
    method: str
    path: str
    client: int
    agent: str
    work: float = 0
    status: int = 200
    size: int = 200
    fault: str = "none"
    patience: float = 400
    partial: str = ""
    raw: str = ""


class What(StrEnum):
    """What is done to targets."""

    DEPLOY = "deploy"
    """New tasks; the old ones are deregistered, drained, signalled, killed at their stop timeout."""
    SCALE_IN = "scale-in"
    """The eldest task goes as in a deployment, without a new one."""
    STOP_TASK = "stop-task"
    """The eldest task is deregistered and signalled at once (StopTask, Spot); a new one is started."""
    CRASH = "crash"
    """SIGKILL to all of a task; a new one replaces it."""
    KILL_WORKER = "kill-worker"
    """SIGKILL to one worker process of a task; its master starts another."""
    NO_TARGETS = "no-targets"
    """All targets are deregistered; new tasks come `seconds` later."""
    DEAF = "deaf"
    """One task accepts no connections for `seconds`; its accept queue is full."""
    SERVER_DOWN = "server-down"
    """One task's server is stopped in order and started again `seconds` later, still registered."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something done `at` after the start."""

    at: float
    what: What
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class Spec:
    """One incident.

    Args:
        name: also its folder. aims: causes it is made for. parts: which ingredients it was made of.
        one_way: seconds between balancer and targets.
        lag: for how long a node still routes to a deregistered target.
        nodes: of the balancer; each has pools and health checks of its own.
        generated: cause → number of lines to be written by documented signature, as no server here can.
        label: see `called`.
    """

    name: str
    split: str
    seed: int
    stack: Stack
    idle_timeout: float
    deregistration_delay: float
    one_way: float
    lag: float
    nodes: int
    tasks: int
    length: float
    asks: tuple[Ask, ...]
    actions: tuple[Action, ...] = ()
    aims: tuple[str, ...] = ()
    generated: dict[str, int] = field(default_factory=dict)
    check_interval: float = 10
    label: str = ""

    @property
    def called(self) -> str:
        """Name of the balancer and the target group in the log; it says nothing of what happens."""
        return self.label or f"shop-{self.seed}"
