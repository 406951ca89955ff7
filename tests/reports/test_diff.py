"""The diff below a finding: cut to the terminal, and what changes stays in sight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from keepalign.fix.edit import unified_diff
from keepalign.reports._lines import WIDTH, plain
from keepalign.reports.diff import coloured

LONG = (
    '    command = ["gunicorn","-k","gthread","--threads","8","--keep-alive","{}","--bind","0.0.0.0:9000"]\n'
)


def test_cut_lines_keep_the_change_in_sight() -> None:
    diff = unified_diff("a.tf", LONG.format(20).encode(), LONG.format(150).encode())
    assert plain(coloured(diff, indent="      ", whole=False)) == snapshot("""\
      --- a/a.tf
      +++ b/a.tf
      @@ -1 +1 @@
      -…"-k","gthread","--threads","8","--keep-alive","20","--bind","0.0.0.0:90…
      +…"-k","gthread","--threads","8","--keep-alive","150","--bind","0.0.0.0:9…
""")


def test_whole_lines_are_not_cut() -> None:
    diff = unified_diff("a.tf", LONG.format(20).encode(), LONG.format(150).encode())
    assert plain(coloured(diff)) == diff


@given(st.text("ab -+", max_size=200), st.sampled_from(["5", "60"]), st.text("ab -+", max_size=200))
def test_every_cut_line_shows_its_change(before: str, value: str, after: str) -> None:
    old, new = f"{before}X{after}\n", f"{before}{value}{after}\n"
    lines = plain(coloured(unified_diff("a", old.encode(), new.encode()), indent="      ", whole=False))
    (removed,) = (text for text in lines.split("\n")[2:] if text.startswith("      -"))
    (added,) = (text for text in lines.split("\n")[2:] if text.startswith("      +"))
    assert "X" in removed
    assert value[0] in added
    assert max(len(text) for text in lines.split("\n")) <= WIDTH
