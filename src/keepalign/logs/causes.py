"""The causes that a log can show, in words: what each means, what ends it, and what would decide for it.

`{idle}` and `{delay}` are filled with the timer's name and its value where it is known; in `decide`,
`{target}`, `{at}` and `{path}` are the row's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KEEP_ALIVE: Final = "backend-keepalive-below-lb-idle"
LB_IDLE: Final = "lb-idle-below-response-time"
DRAIN: Final = "deregistration-below-longest-request"
STOP: Final = "stop-timeout-below-drain"
NO_GRACE: Final = "no-graceful-shutdown"
NO_PRESTOP: Final = "no-prestop-drain"
PROXY_READ: Final = "proxy-read-below-app-timeout"
WORKER: Final = "app-worker-timeout-below-lb"
APP_IDLE: Final = "app-idle-timeout-during-request"
MARGIN_THIN: Final = "keepalive-margin-thin"
PROXY_IDLE: Final = "backend-keepalive-below-proxy-idle"
SYNC_WORKER: Final = "sync-worker-behind-lb"
HELD_WORKERS: Final = "keepalive-holds-workers"
CLIENT: Final = "client-timeout-below-response-time"
CONNECT_TIMEOUT: Final = "target-connect-timeout"
REFUSED: Final = "target-connection-refused"
CLOSED: Final = "target-closed-mid-request"
TLS: Final = "target-tls-failed"
MALFORMED: Final = "target-malformed-response"
GENERATED: Final = "target-generated-error"
NO_TARGETS: Final = "no-healthy-targets"
LAMBDA: Final = "lambda-error"
CLIENT_SLOW: Final = "client-request-timeout"
LB_REFUSED: Final = "lb-refused-request"
UNEXPLAINED: Final = "unexplained"


@dataclass(frozen=True, slots=True)
class LogCause:
    """One cause in words. `in_check`: `keepalign check` compares the timers behind it."""

    meaning: str
    cure: str
    decide: str
    in_check: bool = False


CAUSES: Final[Mapping[str, LogCause]] = {
    KEEP_ALIVE: LogCause(
        "the balancer sent a request on an idle connection that the target was just closing: the target's"
        " keep-alive timeout is not longer than the balancer's {idle}.",
        "make the target keep idle connections longer than the balancer's {idle} (Apache KeepAliveTimeout,"
        " nginx keepalive_timeout, gunicorn keepalive, Node keepAliveTimeout); raise the target first, and"
        " leave the balancer as it is.",
        "`keepalign check PATH` on the target's configuration: is its keep-alive timeout at or below the"
        " balancer's idle timeout?",
        in_check=True,
    ),
    LB_IDLE: LogCause(
        "the target took the request and stayed silent until the balancer's {idle} was over.",
        "make the application answer sooner; or raise the targets' keep-alive timeout, and after that the"
        " balancer's idle_timeout, above the longest silence of the application.",
        "does the target's own log show a request to {path} that took longer than the balancer's idle"
        " timeout? `keepalign check PATH --longest-silence 90s` with your time compares the two.",
        in_check=True,
    ),
    DRAIN: LogCause(
        "requests were still running when the deregistration delay of a target that was taken out was"
        " over, and were cut.",
        "raise the target group's {delay} above the longest request, and the stop timeout with it.",
        "deployments or scale-ins around {at}: was {target} deregistered one deregistration delay before?",
        in_check=True,
    ),
    STOP: LogCause(
        "the target was killed while it still worked, as its stop timeout is shorter than its drain.",
        "raise the stop timeout (ECS stopTimeout) above the time the server needs to finish.",
        "exit code 137 of the task of {target} at {at}, not out of memory: was it killed at the end of its"
        " stop timeout?",
        in_check=True,
    ),
    NO_GRACE: LogCause(
        "the server ended its running requests when it got the stop signal.",
        "use the signal on which the server finishes its requests (httpd SIGWINCH, nginx SIGQUIT), as exec"
        " form and process 1.",
        "stop events of {target} around {at}: did it get its stop signal then, and exit at once?",
        in_check=True,
    ),
    NO_PRESTOP: LogCause(
        "the target stopped accepting while the balancer still sent to it.",
        "keep the target accepting for some 15 s after it was deregistered (a preStop delay on Kubernetes).",
        "was {target} being stopped or replaced at {at}? The balancer goes on sending for some seconds.",
    ),
    PROXY_READ: LogCause(
        "a proxy in the target (Apache, nginx) gave up on its application at its own limit and answered"
        " itself.",
        "raise the proxy's limit (Apache ProxyTimeout or Timeout, nginx proxy_read_timeout) above the"
        " longest silence of the application.",
        "the proxy's error log of {target} at {at}: does it say that the application timed out?",
        in_check=True,
    ),
    WORKER: LogCause(
        "the application server killed the worker at its time limit.",
        "raise the worker's limit (gunicorn timeout) above the longest request, or make the request shorter.",
        "the application's log of {target} at {at}: does it tell of a killed worker (WORKER TIMEOUT)?",
        in_check=True,
    ),
    APP_IDLE: LogCause(
        "a limit of the server itself closed the connection while it worked on the request.",
        "raise the server's own request or socket limit above the longest request.",
        "limits of the server behind {target} for a whole request (Node requestTimeout, Go WriteTimeout):"
        " is one of them the time seen here?",
        in_check=True,
    ),
    MARGIN_THIN: LogCause(
        "the target keeps idle connections only a little longer than the balancer, and a timer was late.",
        "raise the target's keep-alive timeout further above the balancer's {idle}.",
        "is the target's keep-alive timeout above the balancer's idle timeout, but by a few seconds at most?",
        in_check=True,
    ),
    PROXY_IDLE: LogCause(
        "a proxy in the target used a pooled connection that the server behind it was just closing.",
        "make that server keep idle connections longer than the proxy pools them, or pool none.",
        "does a proxy in {target} pool connections? `keepalign check PATH` compares it with its server.",
        in_check=True,
    ),
    SYNC_WORKER: LogCause(
        "slow clients or idle connections held every worker of a server that serves one at a time.",
        "put a buffering proxy in front, or use a worker class that holds many connections.",
        "is {path} fast otherwise, and does the server of {target} serve one connection per worker?",
        in_check=True,
    ),
    HELD_WORKERS: LogCause(
        "idle connections held every process or thread of the server.",
        "use a server or module that holds idle connections cheaply, or give it more slots.",
        "is {path} fast otherwise, and were all workers of {target} held by idle connections?",
        in_check=True,
    ),
    CLIENT: LogCause(
        "the client closed the connection before it had an answer: its own limit was shorter, or somebody"
        " left.",
        "make the answer faster, or the client's timeout longer than the balancer's idle timeout; not a"
        " fault of the balancer or its target.",
        "the client's own timeout: is it what time minus creation shows?",
    ),
    CONNECT_TIMEOUT: LogCause(
        "the target did not accept a connection within 10 s, a limit that no setting changes: a dead"
        " address, a security group or network ACL that drops, or a full accept queue.",
        "find why nothing answers at that address; not a timeout to tune.",
        "TargetConnectionErrorCount in CloudWatch at {at}; was {target} still running and not overloaded,"
        " and do its security group and the network ACLs let the balancer in and the answers out?",
    ),
    REFUSED: LogCause(
        "nothing listened at the target's port, or the connection was reset at once.",
        "keep the server listening until its target is deregistered and drained, and register it only when"
        " it listens; not a timeout to tune.",
        "TargetConnectionErrorCount in CloudWatch at {at}; was the server of {target} starting, stopping"
        " or crashed?",
    ),
    CLOSED: LogCause(
        "the target closed or reset the connection while it worked on the request: a crash, out of memory,"
        " a kill or a restart.",
        "find what ended the process; a longer timeout does not help unless the target's own limit closed"
        " it.",
        "logs and exit code of {target} at {at}: a crash, an out-of-memory kill (137), a restart?",
    ),
    TLS: LogCause(
        "the TLS handshake with the target failed, or took longer than 10 s.",
        "check protocol, ciphers and port of the target group against what the target speaks.",
        "is the target group's protocol HTTPS? Then TargetTLSNegotiationErrorCount in CloudWatch at {at}.",
    ),
    MALFORMED: LogCause(
        "the target's answer was no valid HTTP, or its headers were above 32 KB.",
        "mend the answer; curl the target directly to see it.",
        "{path} asked of {target} with `curl -v` from within the network: a broken header, or more than"
        " 32 KB of them?",
    ),
    GENERATED: LogCause(
        "the target answered with the error itself; the balancer passed it on. Not a timeout of the"
        " balancer.",
        "read the application's own log for that time and path.",
        "the application's log of {target} at {at} for {path}: does it show the error?",
    ),
    NO_TARGETS: LogCause(
        "no target was registered that could take the request. Not a timeout problem.",
        "find why the target group was empty: failed starts, health checks, a deployment without capacity.",
        "HealthyHostCount in CloudWatch and the deployments at {at}.",
    ),
    LAMBDA: LogCause(
        "the Lambda function behind the target group failed, as error_reason says. Not a timeout of the"
        " balancer.",
        "see the function's log and its own timeout.",
        "the function's log at {at}.",
    ),
    CLIENT_SLOW: LogCause(
        "the client opened a connection and did not send its whole request within the balancer's {idle}.",
        "mostly harmless (browsers connect ahead); else a slow or broken client. Not a fault of the target.",
        "which clients are these? User agent and address say.",
    ),
    LB_REFUSED: LogCause(
        "the balancer answered by itself and sent nothing to a target, as the request, a listener rule or"
        " an authentication asked for it. Not a timeout problem.",
        "see what the code and its reason ask for: the request, the listener's rules, the identity provider.",
        "the listener rule and the reasons in the line.",
    ),
    UNEXPLAINED: LogCause(
        "these lines alone do not decide.",
        "look at what would decide, first.",
        "the lines around {at} of the same target, the target's log, and deployments at that time.",
    ),
}
"""By slug. lb-refused-request is beside the vocabulary of rules: errors that no server took part in."""

REFUSALS: Final[Mapping[int, str]] = {
    0: "000 is no status: over HTTP/2 the balancer ended the connection (a header above 8 KB, or more than"
    " 10,000 requests on it)",
    400: "400: the request was malformed or too large, or the client left before its body was complete",
    401: "401: the login that a listener rule asks for was denied, or not finished in time",
    403: "403: the web firewall blocked the request",
    405: "405: the balancer does not pass on TRACE",
    413: "413: the request's body is too large for a Lambda function",
    414: "414: the URL is too long",
    463: "463: X-Forwarded-For holds more than 30 addresses",
    464: "464: the request's HTTP version does not fit the target group's protocol version",
    500: "500 without a target: the web firewall, a rule transform or the identity provider failed",
    501: "501: a Transfer-Encoding other than chunked or identity",
    505: "505: an unknown version of HTTP, such as HTTP/2 bytes on a connection of HTTP/1",
    561: "561: the identity provider answered the authentication with an error",
}
"""What the balancer says with a status of its own (ALB guide, "Troubleshoot")."""
