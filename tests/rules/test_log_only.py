"""Every cause has its page, its place among the statuses, and where it shows in logs only, its line."""

from __future__ import annotations

import importlib
import re
from typing import Final

import pytest
from tests.logs.pasted import diagnose

from keepalign import scenarios
from keepalign.cli import COMMANDS
from keepalign.errors import UsageError
from keepalign.logs.causes import CAUSES
from keepalign.logs.paste import Reading, read
from keepalign.model.page import Page, PageKind
from keepalign.rules import CATALOGUE, LOG_ONLY, RULES, LogOnly, Rule, log_only
from keepalign.rules.pages import PAGES, named
from keepalign.rules.pages._signs import NO_STATUS, SIGNS, Sign, signs_of
from keepalign.rules.pages._statuses import STATUSES

HEADINGS: Final = (
    "## What it is",
    "## Why it happens",
    "## In the log",
    "## What decides",
    "## What helps",
    "## Sources",
)
SLUGS: Final = {cause.slug for cause in CATALOGUE}

_TIME: Final = re.compile(r"    [0-9:.]+(?: to [0-9.]+)?(?: m?s)? +\S")
# Three words at least: other names in backticks have none or one hyphen.
_SLUG: Final = re.compile(r"`([a-z0-9]+(?:-[a-z0-9]+){2,})`")


def line_of(cause: LogOnly) -> list[str]:
    """The fields of the line that a page shows, as far as it shows it."""
    section = cause.page.partition("## In the log\n")[2].partition("\n## ")[0]
    return " ".join(line for line in section.splitlines() if line.startswith("    ")).split()


def completed(fields: list[str]) -> str:
    """The whole line, of a request that came at 10:15:30, as in every page."""
    target, target_status = fields[4], fields[9]
    reason = "LambdaUnhandled" if fields[5:8] == ["0.000", "0.001", "0.000"] else "-"
    request = (
        "- http://www.example.com:80- - " if fields[12] == '"-' else "GET http://www.example.com:80/ HTTP/1.1"
    )
    return (
        f'{" ".join(fields[:12])} "{request}" "curl/8.5.0" - -'
        " arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/73e2d6bc24d8a067"
        ' "Root=1-674055a2-1a2b3c4d5e6f708192a3b4c5" "-" "-" 0 2026-11-22T10:15:30.000000Z'
        f' "forward" "-" "{reason}" "{target}" "{target_status}" "-" "-" TID_0123456789abcdef0123456789abcdef'
        ' "-" "-" "-" 10.0.0.5'
    )


@pytest.mark.parametrize("cause", LOG_ONLY, ids=lambda cause: cause.slug)
def test_log_cause_page_has_every_section_in_order(cause: LogOnly) -> None:
    assert [line for line in cause.page.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert cause.title
    assert not cause.title.startswith("#")


@pytest.mark.parametrize("cause", LOG_ONLY, ids=lambda cause: cause.slug)
def test_log_cause_page_tells_its_story_on_a_time_line_and_names_public_sources(cause: LogOnly) -> None:
    sections = dict(zip(HEADINGS, re.split(r"^## .*$", cause.page, flags=re.MULTILINE)[1:], strict=True))
    assert len(_TIME.findall(sections["## Why it happens"])) >= 3
    assert re.findall(r"<https://[^>]+>", sections["## Sources"])


@pytest.mark.parametrize("cause", LOG_ONLY, ids=lambda cause: cause.slug)
def test_log_cause_module_is_named_by_its_slug(cause: LogOnly) -> None:
    module = importlib.import_module(f"{log_only.__name__}.{cause.slug.replace('-', '_')}")
    assert module.CAUSE is cause


@pytest.mark.parametrize("cause", LOG_ONLY, ids=lambda cause: cause.slug)
def test_line_of_the_page_is_one_of_the_cause_s_signs(cause: LogOnly) -> None:
    fields = line_of(cause)
    times, (status, target_status) = fields[5:8], fields[8:10]
    assert fields[0] == "http"
    if cause.slug in NO_STATUS:
        return
    assert any(
        (sign.status, sign.target_status) == (status, target_status)
        and all(
            not shape or shape == time or (shape == "t" and float(time) > 0.01)
            for shape, time in zip(sign.times.split() or [""] * 3, times, strict=True)
        )
        for sign in signs_of(cause.slug)
    )


@pytest.mark.parametrize(
    "cause",
    # An answer that broke HTTP leaves the line of one that never came, and is far rarer.
    [cause for cause in LOG_ONLY if cause.slug != "target-malformed-response"],
    ids=lambda cause: cause.slug,
)
def test_line_of_the_page_is_judged_as_its_cause_or_as_one_that_it_cannot_be_told_from(
    cause: LogOnly,
) -> None:
    reading = Reading()
    read([completed(line_of(cause)).encode()], file="-", into=reading)
    ((judged,),) = [group.sample for group in diagnose(reading).groups]
    named_too = {candidate.cause for candidate in judged.candidates}
    assert cause.slug == judged.cause or cause.slug in named_too


def test_slugs_are_unique_over_the_whole_catalogue() -> None:
    assert len(SLUGS) == len(CATALOGUE) == len(RULES) + len(LOG_ONLY)


@pytest.mark.parametrize("slug", sorted(SLUGS))
def test_cause_shows_as_a_status_or_says_why_not(slug: str) -> None:
    assert bool(signs_of(slug)) != (slug in NO_STATUS)


def test_signs_name_causes_and_statuses_that_have_pages() -> None:
    assert {sign.cause for sign in SIGNS} | set(NO_STATUS) <= SLUGS
    assert {sign.status for sign in SIGNS} <= {status.code for status in STATUSES}


@pytest.mark.parametrize("slug", CAUSES)
def test_cause_that_diagnose_names_can_be_explained(slug: str) -> None:
    assert named(slug).name == slug


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_no_cause_and_no_command_that_does_not_exist(page: Page) -> None:
    if page.kind is not PageKind.CAUSE:  # the pages of rules name knobs with as many hyphens
        assert set(_SLUG.findall(page.body)) <= SLUGS
    for command in (*page.commands, *re.findall(r"`(keepalign [^`]+)`", page.body)):
        verb = re.match(r"keepalign ([a-z]+)", command)
        assert verb is None or verb[1] in COMMANDS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.slug)
def test_command_that_reproduces_a_cause_has_its_scenario(rule: Rule) -> None:
    command = f"keepalign lab run {rule.slug}"
    assert (command in named(rule.slug).commands) == (rule.slug in scenarios.names())


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.cause}-{sign.status}")
def test_status_page_names_the_causes_that_show_as_it(sign: Sign) -> None:
    body = named(sign.status).body
    assert f"[{sign.cause}](../causes/{sign.cause}.md)" in body
    assert sign.tell in body


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("502", "502"),
        ("HTTP 502", "502"),
        ("502 Bad Gateway", "502"),
        ("HTTP/1.1 504 Gateway Time-out", "504"),
        ("HTTPCode_ELB_503_Count", "503"),
        ("bad gateway", "502"),
        ("502s", "502"),
        ("522", "52x"),
        ("000", "000"),
        ("target-tls-failed", "target-tls-failed"),
        ("target_tls_failed.md", "target-tls-failed"),
        ("docs/reference/causes/target-tls-failed.md", "target-tls-failed"),
        ("  Target-TLS-Failed ", "target-tls-failed"),
    ],
)
def test_page_is_found_by_what_people_paste(text: str, name: str) -> None:
    assert named(text).name == name


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("backend-keepalive", "backend-keepalive-below-lb-idle"),
        ("target-conect-timeout", "target-connect-timeout"),
        ("gateway-timeot", "gateway-timeout"),
    ],
)
def test_unknown_word_is_answered_with_near_ones(text: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        named(text)
    assert near in caught.value.hint


@pytest.mark.parametrize("text", ["", "/", "418", "50222", "..", "a b c", "\0", "é"])
def test_word_that_resembles_nothing_is_an_error_all_the_same(text: str) -> None:
    with pytest.raises(UsageError, match="neither a cause nor a status"):
        named(text)
