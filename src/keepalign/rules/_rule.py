"""What a rule is, and the runner. A rule is a pure function over one path and the stack it belongs to.

It yields one outcome per place: Finding, Ok, NotApplicable (with a reason) or Undecided (with what would
supply the missing piece).
"""

from __future__ import annotations

import logging
import os.path
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from keepalign.model.checked import CheckResult, NotApplicable, Ok
from keepalign.model.finding import Confidence, Finding, Ladder, Location, Severity, Symptom, Undecided
from keepalign.model.ladder import LadderView
from keepalign.model.path import Hop, JoinBy, Product, RequestPath, Stack
from keepalign.model.setting import Default, Disabled, Explicit, Setting, written_at
from keepalign.model.source import OriginKind, Span
from keepalign.model.timers import Role
from keepalign.units import Duration

_log: Final = logging.getLogger("keepalign.rules")

Outcome: TypeAlias = Finding | Ok | NotApplicable | Undecided

CRASHED: Final = "rule-crashed"
"""The cause of the finding that a failing rule becomes."""

_SERVICES: Final = frozenset({
    Product.AWS_ALB, Product.AWS_CLOUDFRONT, Product.AWS_ECS, Product.AWS_NLB, Product.KUBERNETES,
})  # fmt: skip
"""Products whose documented defaults hold for everybody: without versions, or alike in all."""

_IN_SOURCE: Final = frozenset({
    Product.GO, Product.JETTY, Product.KESTREL, Product.NODEJS, Product.REACTOR_NETTY, Product.TOMCAT,
    Product.UNDERTOW,
})  # fmt: skip
"""Products whose limits stand in the application's source or properties."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One cause: its metadata as data, its page, its check.

    Args:
        slug: the name of the fault, shared by every room.
        severity: of a finding whose values were declared or set; a check may go below.
        roles: the timers it reads.
        since: the release it came with.
        page: the module docstring; its first line states the good state.
        scenario: the stack that shows the fault, or empty; then `no_scenario` says why there can be none.
        unprovable: why a rolling update with real servers cannot show the cause though `check` predicts it,
            as a sentence that names what shows it instead; empty where it can.
    """

    slug: str
    severity: Severity
    ladder: Ladder
    roles: tuple[Role, ...]
    since: str
    page: str
    check: Callable[[RequestPath, Stack], Iterable[Outcome]]
    scenario: str = ""
    no_scenario: str = ""
    unprovable: str = ""

    @property
    def title(self) -> str:
        """The good state, in one line."""
        return self.page.partition("\n")[0].rstrip(".")


def check(stack: Stack, rules: Iterable[Rule], ladders: Mapping[str, tuple[LadderView, ...]]) -> CheckResult:
    """Every rule on every path; nothing a rule does ends the run.

    Findings with the same cause, hop and places are one, whatever number of paths they were met on.
    """
    findings: dict[tuple[object, ...], Finding] = {}
    shared: dict[tuple[object, ...], list[str]] = {}
    undecided: dict[tuple[object, ...], Undecided] = {}
    ok: list[Ok] = []
    not_applicable: list[NotApplicable] = []
    for rule in rules:
        for path in stack.paths:
            for outcome in _outcomes(rule, path, stack):
                match outcome:
                    case Finding():
                        key = (outcome.cause, outcome.hop, outcome.locations, outcome.margin)
                        findings.setdefault(key, outcome)
                        shared.setdefault(key, []).append(path.name)
                    case Undecided():
                        about = (outcome.cause, outcome.hop, outcome.reason, outcome.span)
                        undecided.setdefault(about, outcome)
                    case Ok():
                        ok.append(outcome)
                    case NotApplicable():
                        not_applicable.append(outcome)
    return CheckResult(
        findings=tuple(sorted(findings.values(), key=lambda f: -f.severity)),
        undecided=tuple(undecided.values()),
        ok=tuple(ok),
        not_applicable=tuple(not_applicable),
        shared={findings[key]: tuple(names) for key, names in shared.items() if len(names) > 1},
        ladders=ladders,
    )


def _outcomes(rule: Rule, path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    try:
        yield from rule.check(path, stack)
    except Exception as error:  # a fault of one rule must not hide what the others see
        _log.debug("rule failed: rule=%s path=%s", rule.slug, path.name, exc_info=True)
        yield Finding(
            cause=CRASHED,
            title=f"the rule {rule.slug} failed on this path: a fault of keepalign",
            severity=Severity.LOW,
            confidence=Confidence.HIGH,
            ladder=rule.ladder,
            symptom=Symptom("", "", "nothing is known of this cause on this path"),
            arithmetic=f"{type(error).__name__}: {error}",
            hop=path.hops[0].name,
            path=path.name,
            locations=(Location(path.hops[0].place, f"{rule.slug} was not checked here"),),
            margin=Duration(0),
        )


# What rules have in common.


def balancer_of(path: RequestPath) -> Hop | None:
    """The Application Load Balancer in front of this path, if any."""
    return next((hop for hop in path.hops if hop.product is Product.AWS_ALB), None)


def next_behind(path: RequestPath, hop: Hop) -> Hop | None:
    """The hop that `hop` sends its requests to; None for the last."""
    return next((link.upstream for link in path.links if link.downstream is hop), None)


def closes_after_response(hop: Hop, idle: Setting | None) -> str:
    """Why `hop` keeps no connection open for a second request, in words; empty when it may keep one."""
    if hop.product is Product.PHP_FPM:
        return f"{hop.name} (PHP-FPM) speaks FastCGI, which knows no keep-alive timeout"
    if hop.product is Product.UWSGI and idle is None:
        return f"{hop.name} (uWSGI) closes every connection after its response, unless http-keepalive is set"
    if hop.product is Product.GUNICORN and hop.traits.get("worker_class") == "sync":
        return f"{hop.name} (gunicorn, sync workers) closes every connection after its response"
    match idle:
        case Explicit() | Default() if not idle.value:
            return f"{hop.name} ({idle.option} 0) closes every connection after its response"
        case Disabled():
            return f"{hop.name} has keep-alive switched off and closes every connection after its response"
        case _:
            return ""


def confidence_of(values: Iterable[tuple[Hop | None, Setting]], joined: Iterable[Hop] = ()) -> Confidence:
    """The weakest of the origins of `values` and of the joins of `joined`.

    A documented default counts as high when the version of the product is known (or it has none), else as
    medium; an assumption as low. A join by the only candidate, or by a declaration, counts as medium.
    """
    weakest = Confidence.HIGH
    for hop, setting in values:
        if setting.origin.kind is OriginKind.ASSUMED:
            return Confidence.LOW
        known_version = hop is None or hop.version or hop.product in _SERVICES
        if setting.origin.kind is OriginKind.DEFAULT and not known_version:
            weakest = Confidence.MEDIUM
    for hop in joined:
        for evidence in hop.joined:
            if evidence.by in (JoinBy.ONLY_CANDIDATE, JoinBy.HINT):
                weakest = Confidence.MEDIUM
    return weakest


def located(setting: Setting, text: str, place: Span | None = None) -> Location:
    """Where `setting` is written, labelled `text` and, when it takes effect elsewhere or is computed from
    another value, where that is.

    `place` stands in for a value that is written nowhere.
    """
    origin, written = setting.origin, written_at(setting)
    if origin.note:
        text += f" ({origin.note})"
    if written is None:
        return Location(place, text)
    first, last = origin.steps[0], origin.steps[-1]
    if (first.span.file, first.span.line) != (last.span.file, last.span.line):
        word, other = ("through", first) if written == last.span else ("from", last)
        file = os.path.relpath(other.span.file, os.path.dirname(written.file) or ".")
        text += f", {word} {other.what} at {file}:{other.span.line}"
    return Location(written, text)


def unknown(slug: str, path: RequestPath, hop: Hop, setting: Setting | None, what: str) -> Undecided:
    """That nothing can be said of `hop`: `what` is unknown, as `setting` is."""
    reason = getattr(setting, "reason", "")
    return Undecided(
        cause=slug,
        path=path.name,
        hop=hop.name,
        reason=f"{what} is unknown{f': {reason}' if reason else ''}",
        supply=supply(setting, hop.product),
        span=setting.origin.use if setting is not None else hop.place,
    )


def supply(setting: Setting | None, product: Product) -> str:
    """What would make an unknown `setting` of `product` known to keepalign."""
    if product is Product.NGINX and setting is not None and setting.option == "upstream keepalive_timeout":
        return (
            "pin nginx's version in the tag of its image, and write keepalive, keepalive_timeout,"
            " proxy_http_version and the Connection header out where it proxies"
        )
    if setting is None or setting.origin.use is None:
        return "give keepalign the folder of the file that sets it as a further PATH"
    match product:
        case Product.APACHE_HTTPD:
            return (
                "write the number into the configuration (for ${NAME}: `Define NAME …`), or give the folder"
                " of the file that was not read as a further PATH"
            )
        case Product.NGINX:
            return (
                "write the number into the configuration (nginx takes no variable there), or give the folder"
                " of the file that was not read as a further PATH"
            )
        case Product.GUNICORN:
            flag = "--timeout" if setting.option == "timeout" else "--keep-alive"
            return (
                f"write --worker-class and {flag} as plain values on gunicorn's command line or in its"
                " configuration file, or give the folder of the file that was not read as a further PATH"
            )
        case Product.UVICORN | Product.HYPERCORN | Product.PUMA | Product.UWSGI:
            return f"write {setting.option} as a number where {product.value} is started"
        case _ if product in _IN_SOURCE:
            return f"write {setting.option} as a number where the server is made, or pin its version"
        case Product.KUBERNETES | Product.INGRESS_NGINX:
            return (
                "write the number into the manifest; of a chart or overlay, give keepalign what"
                " `helm template` or `kubectl kustomize` renders"
            )
        case Product.HAPROXY | Product.ENVOY | Product.TRAEFIK | Product.CADDY | Product.PHP_FPM:
            return (
                f"write {setting.option} as a number into the configuration, or give the folder of the file"
                " that was not read as a further PATH"
            )
        case _ if not setting.origin.use.file.endswith((".tf", ".tf.json", ".tfvars")):
            return f"write {setting.option} as a number in place, or as the default of its parameter"
        case _:
            return (
                "write the number where Terraform finds it without being asked: in place, as the variable's"
                " default, in terraform.tfvars or in a *.auto.tfvars beside it"
            )
