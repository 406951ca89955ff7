"""What decides which side closes first is written down, or its version is pinned.

## What it detects

A connection that is re-used, where one side's limit is a default that changed between versions of the
product, nobody set it, and nothing in the tree says which version runs; and where that decides between
right and wrong. An advice of low severity.

| product | option | before | since |
| --- | --- | --- | --- |
| Puma | `persistent_timeout` | 20 s | 65 s, with 7.0 |
| nginx | connections to an `upstream` block | not pooled | pooled for 60 s, with 1.29.7 |

Node.js is to follow: 5 s in every release up to 26, 65 s in the branch for the next one.

## Why it fails

The image is built again, from a tag that moves (`nginx:alpine`, `puma` without a version), and the verdict
is another one:

    Monday    nginx:alpine is before 1.29.7: no connection to the application is re-used, and all is well
    Tuesday   the tag moves on: connections are pooled for 60 s; the application keeps them for 5 s
    Tuesday   502, now and then, after a build that changed no line

## Example

`FROM nginx:alpine` with an `upstream` block, in front of uvicorn with its default of 5 s.

## Fix

Write the value out, so that no version decides it; and pin the version all the same.

| product | setting |
| --- | --- |
| Puma | `persistent_timeout 75` |
| nginx | `keepalive 32;` and `keepalive_timeout 60s;` in the `upstream` block, or `keepalive 0;` |

## What it does not cover

Defaults that changed without a change of the verdict. Versions that package managers choose inside the
image.

## Sources

- Node.js, `server.keepAliveTimeout`: <https://nodejs.org/api/http.html#serverkeepalivetimeout>
- Puma, history: <https://github.com/puma/puma/blob/main/History.md>
- nginx, changes: <https://nginx.org/en/CHANGES>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Confidence, Finding, Ladder, Location, Severity, Symptom
from keepalign.model.path import Hop, Link, Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unknown, value_of
from keepalign.model.source import OriginKind
from keepalign.model.timers import Role
from keepalign.rules._reuse import answers_closed, reuse_on
from keepalign.rules._rule import Outcome, Rule
from keepalign.units import ZERO, Duration

SLUG: Final = "verdict-hangs-on-version"


@dataclass(frozen=True, slots=True)
class _Version:
    """What holds in some versions. `value` is None where nothing is re-used."""

    value: Duration | None
    text: str


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per link of which one side depends on a version."""
    found = False
    for link in path.links:
        for outcome in _of_link(path, link):
            found = True
            yield outcome
    if not found:
        reason = "no value on this path depends on a version that is not known"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)


def _of_link(path: RequestPath, link: Link) -> Iterator[Outcome]:
    reuse = reuse_on(link)
    sender, receiver = link.downstream, link.upstream
    if reuse.never:
        return
    pooled, kept = value_of(reuse.pool), value_of(reuse.keep)
    if (found := _pools(sender)) and kept is not None:
        yield _judged(path, link, sender, [(v, v.value is None or kept > v.value) for v in found])
    elif (found := _defaults(receiver, reuse.keep)) and pooled is not None:
        yield _judged(path, link, receiver, [(v, v.value is None or v.value > pooled) for v in found])


def _defaults(hop: Hop, setting: Setting | None) -> list[_Version]:
    """The defaults of a setting that nobody wrote, by version; empty where they are alike."""
    if not isinstance(setting, Unknown) or setting.origin.kind is not OriginKind.DEFAULT or hop.version:
        return []
    product = defaults.load(hop.product)
    rows = [row for row in product.rows if row.option == setting.option and row.default is not None]
    if len({row.default for row in rows}) < 2:
        return []
    return [_Version(row.default, f"{row.default} {row.versions}".strip()) for row in rows]


def _pools(hop: Hop) -> list[_Version]:
    """nginx in front of an upstream block that does not say whether connections are kept."""
    pool = hop.settings.get(Role.UPSTREAM_POOL_IDLE)
    if hop.product is not Product.NGINX or "pool" in hop.traits or not isinstance(pool, Unknown):
        return []
    # Other reasons why pooling is not known have nothing to do with the version.
    if "version" not in pool.reason:
        return []
    kept = defaults.load(Product.NGINX).row("upstream keepalive_timeout").default
    return [_Version(None, "nothing is pooled before 1.29.7"), _Version(kept, f"{kept} since 1.29.7")]


def _judged(path: RequestPath, link: Link, hop: Hop, verdicts: list[tuple[_Version, bool]]) -> Outcome:
    label = defaults.load(hop.product).label
    shown = "; ".join(version.text for version, _ in verdicts)
    if len({right for _, right in verdicts}) == 1:
        return Ok(SLUG, path.name, hop.name, f"{label}'s defaults differ ({shown}), and the verdict does not")
    wrong = " and ".join(version.text for version, right in verdicts if not right)
    return Finding(
        cause=SLUG,
        title=f"an unpinned version of {label} decides whether {link.upstream.name} closes first",
        severity=Severity.LOW,
        confidence=Confidence.MEDIUM,
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "502",
            answers_closed(path, link.downstream),
            f"with one version, and not with the other: wrong with {wrong}",
        ),
        arithmetic=f"{label}: {shown}",
        hop=hop.name,
        path=path.name,
        locations=(Location(hop.place, f"which version of {label} {hop.name} runs is not written anywhere"),),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="one run has one version; backend-keepalive-below-lb-idle shows the wrong one",
    unprovable="one run has one version",
)
