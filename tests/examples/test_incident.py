"""The shipped incident: what `diagnose` makes of it is what its README says happened."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TypedDict

import pytest

from keepalign.cli import run

ROOT = Path(__file__).parents[2]
INCIDENT = ROOT / "examples" / "incident"
HAPPENED = {
    cause: int(number)
    for cause, number in re.findall(
        r"^\| `([a-z-]+)`: .* \| (\d+) \|$", (INCIDENT / "README.md").read_text("utf-8"), re.M
    )
}
"""Errors by cause, as the README's table has them: from what was done, not from the log."""
MOST = "backend-keepalive-below-lb-idle"


class Remedy(TypedDict):
    """Of the JSON, what is looked at here."""

    file: str
    line: int
    value_s: float


class Cause(TypedDict):
    """As above."""

    cause: str
    errors: int
    confidence: str
    remedies: list[Remedy]


class Found(TypedDict):
    """As above."""

    verdict: str
    causes: list[Cause]
    accounting: dict[str, int]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The answer without anything but the folder."""
    file = tmp_path_factory.mktemp("incident") / "found.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert run(["diagnose", "examples/incident/", "--no-cache", "--format", f"json={file}"]) == 1
    answer: Found = json.loads(file.read_text("utf-8"))
    return answer


def test_readme_tells_what_happened() -> None:
    assert HAPPENED[MOST] == max(HAPPENED.values())
    assert len(HAPPENED) > 1


def test_every_error_is_found_to_be_what_it_was(found: Found) -> None:
    assert {one["cause"]: one["errors"] for one in found["causes"]} == HAPPENED
    assert {one["confidence"] for one in found["causes"]} == {"high"}
    assert found["accounting"]["judged"] == sum(HAPPENED.values())
    assert found["accounting"]["rejected"] == 0


def test_first_sentence_names_the_line_to_change(found: Found) -> None:
    (remedy,) = next(one for one in found["causes"] if one["cause"] == MOST)["remedies"]
    assert remedy["file"] == "examples/incident/stack/app/Dockerfile"
    written = (ROOT / remedy["file"]).read_text("utf-8").splitlines()[remedy["line"] - 1]
    assert re.search(r"keep-?alive", written)
    assert (
        f"Set keepalive {remedy['value_s']:.0f} in {remedy['file']}:{remedy['line']} (now 5 s)."
        in found["verdict"]
    )
    assert found["verdict"].startswith(
        f"{HAPPENED[MOST]} of {sum(HAPPENED.values())} errors (confidence high; "
    )


@pytest.mark.parametrize("layout", ["text", "markdown", "html"])
def test_every_layout_tells_it(
    layout: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert run(["diagnose", "examples/incident/", "--format", layout]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "examples/incident/stack/app/Dockerfile:10" in told
    assert all(cause in told for cause in HAPPENED)
