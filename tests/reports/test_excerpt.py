from __future__ import annotations

from inline_snapshot import snapshot

from keepalign.model.finding import Location
from keepalign.model.source import SourceText
from keepalign.reports._lines import WIDTH, cells, plain
from keepalign.reports.excerpt import excerpt


def shown(data: str, *marked: tuple[str, str]) -> str:
    """The excerpt of the first place of each marked text, with its label."""
    source = SourceText("httpd/httpd.conf", data.encode())
    locations = []
    for text, label in marked:
        start = source.data.index(text.encode())
        locations.append(Location(source.span(start, start + len(text.encode())), label))
    return plain(excerpt(locations, {source.file: source}))


def test_excerpt_underlines_the_primary_place_and_the_others() -> None:
    assert shown(
        "Listen 80\n\nKeepAliveTimeout 5\nTimeout 20\n",
        ("5", "closes after 5 s"),
        ("20", "gives up after 20 s"),
    ) == snapshot("""\
  --> httpd/httpd.conf:3:18
  |
3 | KeepAliveTimeout 5
  |                  ^ closes after 5 s
  |
  ::: httpd/httpd.conf:4:9
  |
4 | Timeout 20
  |         -- gives up after 20 s
  |
""")


def test_excerpt_puts_a_long_label_below() -> None:
    assert shown("KeepAliveTimeout 5\n", ("5", "closes an idle connection " * 4)) == snapshot("""\
  --> httpd/httpd.conf:1:18
  |
1 | KeepAliveTimeout 5
  |                  ^
  |    closes an idle connection closes an idle connection closes an idle
  |    connection closes an idle connection
  |
""")


def test_excerpt_keeps_the_span_of_a_long_line_in_sight() -> None:
    text = shown('command = ["' + "x" * 200 + '", "--timeout", "30"]\n', ("30", "here"))
    code, caret = text.splitlines()[2:4]
    assert len(code) <= WIDTH
    assert code[caret.index("^") : caret.index("^") + 2] == "30"


def test_excerpt_counts_columns_behind_tabs_and_letters_of_several_bytes() -> None:
    text = shown("\t# é\n\tüTimeout 20\n", ("20", "here"))
    code, caret = text.splitlines()[2:4]
    assert code[caret.index("^") : caret.index("^") + 2] == "20"


def test_excerpt_counts_columns_as_a_terminal_does() -> None:
    source = SourceText("f", "/* 東京 e\u0301 */ idle = 60 # 東京東京東京\n".encode())
    span = source.span(source.data.index(b"60"), source.data.index(b"60") + 2)
    code, caret = plain(excerpt([Location(span, "here")], {"f": source})).splitlines()[2:4]
    assert cells(caret[: caret.index("^")]) == cells(code[: code.index("60")])


def test_excerpt_of_a_line_of_wide_letters_stays_within_80_columns() -> None:
    for before in range(60):
        source = SourceText("f", ("東" * before + "60" + "京" * 60 + "\n").encode())
        at = source.data.index(b"60")
        code, caret = plain(excerpt([Location(source.span(at, at + 2), "x")], {"f": source})).splitlines()[
            2:4
        ]
        assert cells(code) <= WIDTH
        assert cells(code[: code.index("60")]) == caret.index("^")


def test_excerpt_shows_no_control_characters() -> None:
    text = shown("\x1b[31mTimeout 20\n", ("20", "here"))
    assert "\x1b" not in text
    code, caret = text.splitlines()[2:4]
    assert code[caret.index("^") : caret.index("^") + 2] == "20"


def test_excerpt_marks_one_column_for_a_place_of_insertion() -> None:
    source = SourceText("f", b"exec gunicorn app\n")
    text = plain(excerpt([Location(source.span(13, 13), "not set: 30 s")], {"f": source}))
    assert "^ not set: 30 s" in text
    assert "^^" not in text


def test_excerpt_of_what_is_written_nowhere_is_its_label() -> None:
    assert plain(excerpt([Location(None, "AWS ALB default 60 s")], {})) == "  --> AWS ALB default 60 s\n"


def test_excerpt_of_a_file_that_was_not_read_names_the_place() -> None:
    span = SourceText("gone.tf", b"60").span(0, 2)
    assert plain(excerpt([Location(span, "60 s")], {})) == "  --> gone.tf:1:1\n   = 60 s\n"
