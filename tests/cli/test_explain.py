"""`keepalign explain`: pages by slug and by status, in each format, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepalign.cli import run
from keepalign.reports.page import markdown
from keepalign.rules.pages import PAGES, named

SLUG = "backend-keepalive-below-lb-idle"


def test_cause_is_explained_with_how_to_find_and_reproduce_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", SLUG]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"{SLUG}\nGood state: The first server behind the load balancer keeps idle ")
    for text in (
        "\nWhy it fails\n",
        "\n    5.000 s   the server closes: its FIN is on the way\n",
        "\nFind it\n\n    keepalign check PATH...\n",
        f"\nReproduce it\n\n    keepalign lab run {SLUG}\n",
        "\n  severity  high\n",
        "\n  ladder    idle\n",
    ):
        assert text in out
    assert "\x1b" not in out


@pytest.mark.parametrize("words", [["502"], ["HTTP", "502"], ["502 Bad Gateway"], ["Bad", "Gateway"]])
def test_status_is_explained_however_it_is_pasted(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *words]) == 0
    out = capsys.readouterr().out
    assert out.startswith("502\nBad Gateway: ")
    by_balancer, by_target = out.split("\nBy the target, times `0.001 t 0.000`:\n")
    for cause in (SLUG, "target-connection-refused", "target-closed-mid-request", "lambda-error"):
        assert f"\n  - {cause}: " in by_balancer
    assert by_balancer.count("\nBy the balancer, times `-1 -1 -1`:\n") == 1
    assert "\n  - target-generated-error: " in by_target


def test_without_a_word_all_pages_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain"]) == 0
    out = capsys.readouterr().out
    heads = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads[:-1] == ["Idle ladder", "Response ladder", "Shutdown ladder", "In logs only", "Statuses"]
    assert all(f"  {page.name}" in out for page in PAGES)


def test_formats_are_the_same_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "page.json"
    assert run(["explain", "504", "--format", "markdown", "--format", f"json={file}"]) == 0
    report = json.loads(file.read_bytes())
    assert (report["schema"], report["slug"], report["kind"]) == (1, "504", "status")
    assert report["page"] == capsys.readouterr().out == markdown(named("504"))


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_list_has_the_other_formats_too(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--format", form]) == 0
    out = capsys.readouterr().out
    assert out.count(SLUG) >= 1
    if form == "json":
        assert [entry["slug"] for entry in json.loads(out)["pages"]] == [page.name for page in PAGES]


def test_colour_is_for_terminals_and_no_color_takes_it_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert run(["explain", "502"]) == 0
    assert "\x1b[36m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert run(["explain", "502"]) == 0
    assert "\x1b[36m" not in capsys.readouterr().out


def test_unknown_word_is_exit_code_2_with_near_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "backend-keepaliv-below-lb"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "'backend-keepaliv-below-lb' is neither a cause nor a status" in err
    assert f"did you mean {SLUG}" in err


@pytest.mark.parametrize("arguments", [["502", "--format", "xml"], ["502", "--format", "json=/no/such/x"]])
def test_wrong_format_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", *arguments]) == 2
    assert capsys.readouterr().out == ""
