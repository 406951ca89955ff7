"""A diagnosis in every layout, as files in `layouts/`; run as a module, this one writes them."""

from __future__ import annotations

import pytest
from tests.logs.judgements import judged, scanned
from tests.reports.test_layouts import HERE

import keepalign
from keepalign.logs.alb import EXAMPLE
from keepalign.logs.tally import Tally
from keepalign.model.diagnosis import Diagnosis
from keepalign.reports import diagnosis_markdown, diagnosis_page, diagnosis_v1
from keepalign.reports._lines import plain
from keepalign.reports.diagnosis import report

LAYOUTS = ("txt", "md", "html", "json")


def story() -> Diagnosis:
    """An hour with a deployment, and two causes."""
    tally = Tally()
    for n in range(45):
        tally.add(judged(minute=n, number=n, target=f"10.0.0.{n % 3}:80"))
    for n in range(20):
        tally.add(judged("target-closed-mid-request", minute=30, number=n, target="10.0.0.1:80"))
    counts = {(minute, f"10.0.0.{n}:80"): (9, n) for minute in range(30) for n in range(3)}
    counts |= {(minute, f"10.0.1.{n}:80"): (9, 0) for minute in range(29, 60) for n in range(3)}
    return tally.diagnosis([scanned(counts), scanned({(3, "10.0.0.1:80"): (4, 0)}, name="b.log.gz")])


def rendered(suffix: str) -> str:
    match suffix:
        case "txt":
            text = plain(report(story(), expected=EXAMPLE))
        case "md":
            text = diagnosis_markdown.render(story()).decode()
        case "html":
            text = diagnosis_page.render(story()).decode()
        case _:
            text = diagnosis_v1.render(story()).decode()
    return text.replace(keepalign.__version__, "VERSION")


@pytest.mark.parametrize("suffix", LAYOUTS)
def test_story_in_this_layout(suffix: str) -> None:
    assert rendered(suffix) == (HERE / f"diagnosis.{suffix}").read_text("utf-8")


if __name__ == "__main__":
    for each in LAYOUTS:
        (HERE / f"diagnosis.{each}").write_text(rendered(each), "utf-8")
