"""The page in a browser: what a phone and a desk see of it, and that it asks nobody for anything."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.reports.test_diagnosis_layouts import rendered, story

WIDTHS = (400, 1280)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MEASURE = """
const seen = [...document.querySelectorAll("iframe")].map(frame => {
  const page = frame.contentDocument, root = page.documentElement;
  const beyond = [...page.querySelectorAll("body *")].filter(one =>
    !one.closest(".wide, figure") && one.getBoundingClientRect().right > root.clientWidth + 1);
  return {
    wide: root.scrollWidth - root.clientWidth, beyond: beyond.map(one => one.outerHTML.slice(0, 80)),
    verdict: page.querySelector("h1").textContent,
    rules: page.styleSheets.length && page.styleSheets[0].cssRules.length,
    cut: [...page.querySelectorAll("svg.time")].map(one =>
      one.getBoundingClientRect().right > root.clientWidth),
    charts: [...page.querySelectorAll("figure svg")].map(one => one.getBoundingClientRect().height > 50),
    loaded: frame.contentWindow.performance.getEntriesByType("resource").length,
  };
});
document.getElementById("seen").textContent = JSON.stringify(seen);
"""


def outer(page: str) -> str:
    """A document that shows `page` at each width and writes down what it measures."""
    frames = "".join(
        f'<iframe srcdoc="{html.escape(page, quote=True)}" width="{width}" height="900"></iframe>'
        for width in WIDTHS
    )
    script = f"addEventListener('load', () => {{{MEASURE}}})"
    return f'<!doctype html><meta charset="utf-8">{frames}<pre id="seen"></pre><script>{script}</script>'


def browse(page: str, folder: Path) -> tuple[list[dict[str, object]], str]:
    """What was measured at each width, and what the console said."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("needs Chromium")
    shown = folder / "outer.html"
    shown.write_text(outer(page), "utf-8")
    command = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'user'}", "--dump-dom", shown.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert found is not None
    measured: list[dict[str, object]] = json.loads(html.unescape(found[1]))
    return measured, "\n".join(said for said in done.stderr.splitlines() if "CONSOLE" in said)


def test_page_fits_a_phone_and_a_desk_and_asks_nobody(tmp_path: Path) -> None:
    measured, console = browse(rendered("html"), tmp_path)
    assert len(measured) == len(WIDTHS)
    for seen in measured:
        assert seen["verdict"] == story().verdict
        assert seen["beyond"] == []
        assert seen["wide"] == 0
        assert seen["charts"] == [True, True]
        assert seen["cut"] == [False]
        assert isinstance(seen["rules"], int)
        assert seen["rules"] > 30
        assert seen["loaded"] == 0
    assert console == ""


def test_measure_sees_what_does_not_fit_and_what_the_policy_forbids(tmp_path: Path) -> None:
    foreign = '<p style="color: red">x</p><img src="http://192.0.2.1/x"><svg viewBox="0 0 1 1"></svg>'
    measured, console = browse(rendered("html").replace("<main>", f"<main>{foreign}"), tmp_path)
    assert "Content Security Policy" in console
    assert [bool(seen["beyond"]) for seen in measured] == [True, False]
