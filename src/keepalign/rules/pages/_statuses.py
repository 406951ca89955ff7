"""The statuses that an Application Load Balancer answers or logs, and two that its neighbours write.

What AWS documents is in "Troubleshoot your Application Load Balancers" unless a source says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_TROUBLESHOOT: Final = (
    'Elastic Load Balancing, "Troubleshoot": '
    "<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>"
)
_ACCESS_LOGS: Final = (
    'Elastic Load Balancing, "Access logs": '
    "<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>"
)
_LAMBDA: Final = (
    'Elastic Load Balancing, "Lambda functions as targets": '
    "<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>"
)
_CLOUDFLARE: Final = (
    "Cloudflare, connection limits: "
    "<https://developers.cloudflare.com/fundamentals/reference/connection-limits/>"
)
_NGINX: Final = (
    "nginx, `proxy_ignore_client_abort`: "
    "<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_client_abort>"
)
_REPOST_503: Final = (
    "AWS re:Post, 503 errors: <https://repost.aws/knowledge-center/alb-troubleshoot-503-errors>"
)
_CLASSIC: Final = (
    "Classic Load Balancers, error messages: "
    "<https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/ts-elb-error-message.html>"
)


class Maker(StrEnum):
    """Who can have made an answer with a status."""

    BALANCER = "the balancer"
    EITHER = "the balancer or the target"
    NGINX = "nginx, in its own log only"
    CLOUDFLARE = "Cloudflare, in front of the balancer"


@dataclass(frozen=True, slots=True)
class Status:
    """One status, or a family of them.

    Args:
        code: as the log writes it.
        name: the reason phrase, or the name that AWS gives.
        says: what it means, as the end of the title.
        maker: who can have made it.
        means: Markdown.
        reasons: documented reasons beside the causes of the catalogue.
        sources: Markdown.
        also: other codes that this page is about.
    """

    code: str
    name: str
    says: str
    maker: Maker
    means: str
    reasons: tuple[str, ...] = ()
    sources: tuple[str, ...] = (_TROUBLESHOOT,)
    also: tuple[str, ...] = ()


STATUSES: Final = (
    Status(
        "000",
        "no status",
        "the balancer closed an HTTP/2 connection instead of answering",
        Maker.BALANCER,
        """\
The log shows 000 where the balancer sent GOAWAY and a FIN on an HTTP/2 connection. The client saw no
answer at all.
""",
        reasons=(
            "compressed request headers of more than 8 K",
            "more than 10,000 requests on one connection",
        ),
    ),
    Status(
        "400",
        "Bad Request",
        "the balancer did not accept the request",
        Maker.EITHER,
        """\
From the balancer: the request broke HTTP, was too large in its head, or was blocked as an attempt to
desynchronise. `target_status_code` is `-`, and often the request in the line is only a dash.
""",
        reasons=(
            "request line or a header above 16 K, all headers above 64 K",
            "the client closed before its whole body was sent",
            (
                "desync mitigation: `classification` says Severe (or Ambiguous, in strictest mode) and "
                "`classification_reason` why"
            ),
            "an upgrade to WebSocket on a Lambda target",
        ),
        sources=(_TROUBLESHOOT, _ACCESS_LOGS, _LAMBDA),
    ),
    Status(
        "401",
        "Unauthorized",
        "a rule of the listener asked for a login that was not given",
        Maker.EITHER,
        """\
From the balancer: an authenticate action denied the request. No timeout of the stack is involved, but
for the login itself, which must be finished in time.
""",
        reasons=(
            "the rule denies users who are not authenticated, or the identity provider denied access",
            "the claims that the identity provider returned are too large",
            "HTTP/1.0 without a Host header, so that no redirect URL could be made",
            "the login was not finished in time",
        ),
        sources=(_TROUBLESHOOT, _ACCESS_LOGS),
    ),
    Status(
        "403",
        "Forbidden",
        "AWS WAF blocked the request",
        Maker.EITHER,
        """\
From the balancer: a web ACL of AWS WAF said no. There is no target in the line, and `actions_executed`
names `waf`.
""",
        sources=(_TROUBLESHOOT, _ACCESS_LOGS),
    ),
    Status(
        "405",
        "Method Not Allowed",
        "the client sent TRACE",
        Maker.EITHER,
        """\
From the balancer: it does not take the method TRACE.
""",
    ),
    Status(
        "408",
        "Request Timeout",
        "the client sent nothing for the whole idle timeout",
        Maker.EITHER,
        """\
From the balancer: it waited for a request, or for the rest of one, until its idle timeout. TCP
keep-alive probes do not count as data.
""",
    ),
    Status(
        "413",
        "Payload Too Large",
        "a request body of more than 1 MB for a Lambda target",
        Maker.EITHER,
        """\
From the balancer: only where the target is a Lambda function. A 413 with a `target_status_code` comes
from the server behind it (nginx `client_max_body_size`, Apache httpd `LimitRequestBody`).
""",
        sources=(_TROUBLESHOOT, _LAMBDA),
    ),
    Status(
        "414",
        "URI Too Long",
        "the URL or its query string is too large",
        Maker.EITHER,
        """\
From the balancer: shorten the URL, or send its parameters as a body.
""",
    ),
    Status(
        "460",
        "client closed the connection",
        "the client left before the answer",
        Maker.BALANCER,
        """\
The client closed its connection to the balancer before the idle timeout, with its request unanswered. It
is a line in the log: nobody was left to receive it. The target may have done all its work. A CDN or API
gateway in front of the balancer is its client, too.
""",
    ),
    Status(
        "463",
        "too many addresses in X-Forwarded-For",
        "the header holds more than 30 addresses",
        Maker.BALANCER,
        """\
Mostly a loop: a proxy behind the balancer that sends requests back to it. No timeout is involved.
""",
    ),
    Status(
        "464",
        "incompatible protocol",
        "the target group speaks another protocol version than the request",
        Maker.BALANCER,
        """\
An HTTP/1.1 request for a target group with protocol version HTTP2 or GRPC, a gRPC request for one with
HTTP1, or an HTTP/2 request other than POST for one with GRPC. No timeout is involved.
""",
    ),
    Status(
        "499",
        "client closed request",
        "nginx's word for a client that left before the answer",
        Maker.NGINX,
        """\
No balancer sends or logs it: nginx writes 499 into its own access log when whoever sent the request
closed the connection. Behind a balancer that is the balancer, and it closed because its own client left
(460 in its log) or because its idle timeout was over (504 in its log). With `proxy_ignore_client_abort`
off, the default, nginx drops its request to the application as well.
""",
        reasons=(
            (
                "the balancer's idle timeout was over: same second, 504 in the balancer's log; see `lb-"
                "idle-below-response-time`"
            ),
        ),
        sources=(_TROUBLESHOOT, _NGINX),
    ),
    Status(
        "500",
        "Internal Server Error",
        "the application failed, or a service that the balancer asks",
        Maker.EITHER,
        """\
Nearly always the target's own.
""",
        reasons=(
            "AWS WAF could not be asked: `error_reason` begins with WAF",
            (
                "the identity provider's token or user-info endpoint could not be reached: `error_reason`"
                " begins with Auth"
            ),
            "a transform of the matched listener rule failed",
        ),
        sources=(_TROUBLESHOOT, _ACCESS_LOGS),
    ),
    Status(
        "501",
        "Not Implemented",
        "the request has a Transfer-Encoding that the balancer does not know",
        Maker.EITHER,
        """\
From the balancer: it takes `chunked` and `identity` only.
""",
    ),
    Status(
        "502",
        "Bad Gateway",
        "the target closed, refused, or broke the protocol",
        Maker.EITHER,
        """\
From the balancer: the exchange with the target failed, and not for lack of time. It is answered at the
instant of the failure, and the balancer does not try again. Nothing in the line names the cause; the
three times, the target and the instant have to.
""",
        reasons=(
            (
                "a Lambda target answered with more than 1 MB, or not before its own timeout "
                "(`error_reason` says so)"
            ),
        ),
        sources=(_TROUBLESHOOT, _ACCESS_LOGS),
    ),
    Status(
        "503",
        "Service Unavailable",
        "there was no target to send the request to",
        Maker.EITHER,
        """\
From the balancer: no target is registered in the target group, or none in this zone while cross-zone
balancing is off. Targets that are merely unhealthy still get requests when there are no others.
""",
        sources=(_TROUBLESHOOT, _REPOST_503),
    ),
    Status(
        "504",
        "Gateway Timeout",
        "the target did not accept, or did not answer, in time",
        Maker.EITHER,
        """\
From the balancer: it waited for the target until one of two limits. Connecting takes 10 s at most, and
no attribute changes that; an answer may be silent for `idle_timeout`, 60 s by default. A Classic Load
Balancer answers 504 where an Application Load Balancer answers 502: much advice mixes the two.
""",
        reasons=(
            "a network ACL blocks the way back, ports 1024-65535",
            "`Content-Length` is greater than the body: the balancer waits for the rest",
            "the Lambda service did not take the call before the connect timeout",
        ),
        sources=(_TROUBLESHOOT, _ACCESS_LOGS, _CLASSIC),
    ),
    Status(
        "505",
        "HTTP Version Not Supported",
        "the request has an HTTP version that was not expected",
        Maker.EITHER,
        """\
From the balancer: for example the bytes of HTTP/2 on a connection that speaks HTTP/1.
""",
    ),
    Status(
        "52x",
        "Cloudflare's own",
        "Cloudflare could not get an answer from its origin",
        Maker.CLOUDFLARE,
        """\
No balancer of AWS sends or logs these. Where Cloudflare stands in front, the balancer is its origin.

| status | what Cloudflare met |
| --- | --- |
| 520 | the origin closed a connection that Cloudflare kept open for up to 900 s |
| 522 | no TCP connection within 19 s, or no acknowledgement for 90 s |
| 524 | no answer for 120 s (the Enterprise plan can change it), or none taken for 30 s |

For a 524 the balancer's log has a 460 at the same second: its client, Cloudflare, left. These limits are
those of July 2026.
""",
        sources=(_CLOUDFLARE,),
        also=("520", "522", "524"),
    ),
    Status(
        "561",
        "Unauthorized",
        "the identity provider answered a login with an error",
        Maker.BALANCER,
        """\
An authenticate action of the listener got an error from the identity provider; `error_reason` names it.
No timeout of the stack is involved.
""",
        sources=(_TROUBLESHOOT, _ACCESS_LOGS),
    ),
)
