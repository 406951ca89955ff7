"""What the readers' tests share: slices behind spans, and writing through a site as `fix` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import keepalign
from keepalign.model.source import Edit, Site, SourceText, Span, Unit, edited

EXAMPLE = Path(keepalign.__file__).parents[2] / "examples" / "orders-api"
FIXTURES = Path(__file__).parent / "fixtures"


def source_of(path: Path) -> SourceText:
    """A file under its own name."""
    return SourceText(path.name, path.read_bytes())


def text_at(source: SourceText, span: Span | None) -> str:
    """The text behind a span, which must belong to the source and know its own line and column."""
    assert span is not None
    assert span.file == source.file
    assert span == source.span(span.start, span.end)
    return source.data[span.start : span.end].decode("utf-8", "surrogateescape")


def written(source: SourceText, site: Site | None, value: int) -> SourceText:
    """The file after `value` was written through `site`."""
    assert site is not None
    edits = [Edit(s.span, s.template.replace("{value}", str(value))) for s in (site, *site.also)]
    return SourceText(source.file, edited(source.data, edits))


def milliseconds(site: Site, value: int) -> int:
    """What `value` means when it is written through `site`."""
    return value if site.unit is Unit.MILLISECONDS else value * 1000


def spans_in(thing: object) -> Iterator[Span]:
    """Every span anywhere inside a fragment."""
    if isinstance(thing, Span):
        yield thing
    elif isinstance(thing, tuple | list):
        for part in thing:
            yield from spans_in(part)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for one in fields(thing):
            yield from spans_in(getattr(thing, one.name))


def assert_spans_fit(source: SourceText, thing: object) -> None:
    """Every span inside `thing` lies in the source and has the line and column of its first byte."""
    for span in spans_in(thing):
        assert 0 <= span.start <= span.end <= len(source.data)
        assert span == source.span(span.start, span.end)
