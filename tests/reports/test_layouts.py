"""The story in every layout, as files beside this one; `python -m tests.reports.test_layouts` writes them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reports import subjects

from keepalign.reports import github, gitlab, junit, sarif

LAYOUTS = {
    "concise": "txt", "github": "txt", "gitlab": "json", "junit": "xml", "markdown": "md", "mermaid": "mmd",
    "sarif": "json",
}  # fmt: skip
HERE = Path(__file__).parent / "layouts"


def rendered(name: str) -> bytes:
    data: bytes = import_module(f"keepalign.reports.{name}").render(subjects.story())
    return data


@pytest.mark.parametrize("name", LAYOUTS)
def test_story_in_this_layout(name: str) -> None:
    assert rendered(name).decode() == (HERE / f"{name}.{LAYOUTS[name]}").read_text("utf-8")


@given(text=st.text())
def test_any_text_in_the_files_leaves_every_layout_whole(text: str) -> None:
    subject = subjects.full(text)
    for name in ("concise", "markdown", "mermaid"):
        import_module(f"keepalign.reports.{name}").render(subject).decode()
    assert len(json.loads(gitlab.render(subject))) == 1 + 4
    assert len(json.loads(sarif.render(subject))["runs"][0]["results"]) == 4 + 2
    assert ET.fromstring(junit.render(subject)).attrib["failures"] == "5"
    *commands, last = github.render(subject).decode().split("\n")[:-1]
    assert all(command.startswith(("::error ", "::warning ", "::notice ")) for command in commands)
    assert last.startswith("keepalign: 4 findings ")


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for layout, suffix in LAYOUTS.items():
        (HERE / f"{layout}.{suffix}").write_bytes(rendered(layout))
