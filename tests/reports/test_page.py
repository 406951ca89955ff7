"""Pages of the catalogue on a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import jsonschema
import pytest
from inline_snapshot import snapshot

from keepalign.model.finding import Severity
from keepalign.model.page import Page, PageKind
from keepalign.reports import page_v1
from keepalign.reports._lines import plain
from keepalign.reports.page import index, lines, listed, markdown
from keepalign.rules.pages import PAGES

BODY = """\
## Why it fails

The balancer keeps a connection to the target open after a response and sends a
later request on it, *unless* `idle_timeout = 60` was over, `*` or 2 * 3 * 4; see
[the guide](https://example.com/guide) and [another cause](another-cause.md):

    0 s       the response ends
    5.000 s   a request arrives; the balancer has not seen the FIN and sends the request on this connection

    keepalign check PATH...

## Fix

| product | setting |
| --- | --- |
| Apache httpd, behind an Application Load Balancer with an idle timeout of 60 s | `KeepAliveTimeout 75` |
| gunicorn | |

- One item that is long enough to go on in the next line of the page, with a hanging
  line in its source.
- Another: <https://example.com/a>
"""
PAGE = Page(
    name="a-cause",
    kind=PageKind.CAUSE,
    title="All is well",
    body=BODY,
    facts=(("severity", "high"), ("reads", "`server_idle`")),
    group="Idle ladder",
    severity=Severity.HIGH,
    statuses=("502",),
    commands=("keepalign check PATH...",),
    source="src/keepalign/rules/a_cause.py",
)
STATUS = replace(
    PAGE, name="502", kind=PageKind.STATUS, title="Bad Gateway: it broke", group="Statuses", severity=None
)


def test_page_is_laid_out_for_80_columns() -> None:
    assert plain(lines(PAGE)) == snapshot("""\
a-cause
Good state: All is well.

Why it fails

The balancer keeps a connection to the target open after a response and sends a
later request on it, unless `idle_timeout = 60` was over, `*` or 2 * 3 * 4; see
the guide (https://example.com/guide) and another cause:

    0 s       the response ends
    5.000 s   a request arrives; the balancer has not seen the FIN and sends the
              request on this connection

    keepalign check PATH...

Fix

  product                                                  setting
  Apache httpd, behind an Application Load Balancer with   `KeepAliveTimeout 75`
  an idle timeout of 60 s
  gunicorn

  - One item that is long enough to go on in the next line of the page, with a
    hanging line in its source.
  - Another: https://example.com/a

Facts

  severity  high
  reads     `server_idle`
""")


def test_code_is_in_colour_with_its_marks() -> None:
    pieces = [piece for line in lines(PAGE) for piece in line]
    assert ("`idle_timeout = 60`", "cyan") in pieces
    assert ("Why it fails", "bold") in pieces


def test_list_has_a_heading_per_group_and_one_line_per_status() -> None:
    assert plain(listed([PAGE, STATUS])) == snapshot("""\
Idle ladder
  a-cause
      All is well

Statuses
  502  Bad Gateway: it broke

`keepalign explain WORD` prints one of them.
""")


def test_markdown_is_the_page_with_its_facts_in_front() -> None:
    text = markdown(PAGE)
    assert text.endswith(BODY)
    assert text[: -len(BODY)] == snapshot("""\
# a-cause

| | |
| --- | --- |
| good state | All is well. |
| severity | high |
| reads | `server_idle` |

""")


def test_markdown_list_links_from_the_folder_of_the_causes() -> None:
    assert index([PAGE, STATUS]) == snapshot("""\
# Causes and statuses

## Idle ladder

| cause | good state | severity |
| --- | --- | --- |
| [a-cause](a-cause.md) | All is well | high |

## Statuses

| status | meaning |
| --- | --- |
| [502](../statuses/502.md) | Bad Gateway: it broke |
""")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_real_page_fits_80_columns_and_loses_no_word(page: Page) -> None:
    text = plain(lines(page))
    assert not [line for line in text.splitlines() if len(line) > 80 and "://" not in line]
    # Addresses within the pages, bars, rules of tables and marks go; words stay.
    source = re.sub(r"\]\((?!https?:)[^)]+\)", "]", page.body)
    words = [{word.strip(".:") for word in re.findall(r"[\w./:-]+", each)} for each in (source, text)]
    assert {word for word in words[0] - words[1] if set(word) - {"-"}} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_real_page_is_in_the_markdown_that_is_laid_out(page: Page) -> None:
    prose = [line for line in page.body.splitlines() if not line.startswith("    ")]
    assert not [line for line in prose if re.match(r"#(?!# )|```|~~~|\* |>|    ", line)]
    assert not [line for line in prose if line.count("`") % 2 and line.startswith("|")]
    tables = re.findall(r"(?:^\|.*\n)+", page.body, flags=re.MULTILINE)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_json_of_every_page_and_of_the_list_validates() -> None:
    schema = json.loads(page_v1.schema())
    for page in PAGES:
        report = json.loads(page_v1.render(page))
        jsonschema.validate(report, schema)
        assert report["page"] == markdown(page)
    jsonschema.validate(json.loads(page_v1.render_list(PAGES)), schema)


def test_json_of_a_page_is_stable() -> None:
    report = json.loads(page_v1.render(PAGE))
    assert {key: value for key, value in report.items() if key not in ("page", "keepalign")} == snapshot(
        {
            "schema": 1,
            "slug": "a-cause",
            "kind": "cause",
            "title": "All is well",
            "severity": "high",
            "statuses": ["502"],
            "commands": ["keepalign check PATH..."],
        }
    )
    assert json.loads(page_v1.render(STATUS))["severity"] is None
