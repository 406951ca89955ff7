"""The comment for a pull request: says everything, folds the details, and means nothing else to Markdown."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.reports import subjects

from keepalign.reports import markdown
from keepalign.reports.subject import Subject


def text_of(subject: Subject) -> str:
    return markdown.render(subject).decode()


def test_what_is_not_joined_comes_before_the_table() -> None:
    text = text_of(subjects.full())
    assert text.startswith(f"{markdown.MARK}\n### keepalign: ")
    assert text.index("- a word group (`stack.conf:1:1`): a word missing") < text.index("| severity |")


def test_ladder_of_every_path_stands_in_a_code_block() -> None:
    text = text_of(subjects.story())
    blocks = re.findall(r"```text\n(.*?)\n```", text, re.S)
    assert [block.split("\n")[0] for block in blocks] == ["orders /", "orders /reports"]


def test_details_are_folded_and_hold_what_made_the_finding() -> None:
    text = text_of(subjects.full())
    assert text.count("<details>") == text.count("</details>") == 4 + 2
    assert "- **made by:** stack.conf:1: a word option of httpd: 60 s → 5 s" in text
    assert "- `deregistration-below-longest-request` on orders /: a word because, until 2027-01-31" in text
    assert "Of the baseline gone: `lb-idle-below-response-time` on a word hop." in text


def test_nothing_in_a_file_has_a_meaning_to_markdown() -> None:
    text = text_of(subjects.full(subjects.AWKWARD))
    fence = re.compile(r"^(`{3,})\w+\n.*?^\1$", re.S | re.M)
    prose = re.sub(r"(`+).*?\1", "", re.sub(r"\\.", "", fence.sub("", text)))
    # Markdown leaves HTML alone; GitHub finds mentions in it all the same.
    summaries = re.findall(r"<summary>(.*)</summary>", prose)
    assert not any(re.search(r"<|@all|#1", each) for each in summaries)
    prose = re.sub(r"<summary>.*</summary>|</?(?:details|br)>|<!-- keepalign check -->", "", prose)
    assert not re.search(r"<|\[a\]|\$\(|@all|#1|\x1b", prose)
    rows = [line for line in text.split("\n") if line.startswith("| **")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [5] * len(rows)


def test_comment_is_cut_before_github_refuses_it_and_says_so() -> None:
    subject = subjects.story()
    first = subject.result.findings[0]
    many = [replace(first, hop=f"hop{n}", arithmetic="x" * 5_000) for n in range(40)]
    text = text_of(subjects.only(subject, *many))
    assert len(text) < 65_536
    cut = re.search(r"(\d+) more sections would be too long", text)
    assert cut is not None
    assert int(cut[1]) + text.count("<details>") == 40


def test_tree_without_a_path_does_not_look_clean() -> None:
    subject = subjects.story()
    empty = replace(
        subject, stack=replace(subject.stack, paths=()), result=replace(subject.result, findings=())
    )
    assert "no two timeouts were compared" in text_of(empty)


def test_no_address_of_the_pages_no_link() -> None:
    assert "](" not in text_of(replace(subjects.story(), docs=""))
