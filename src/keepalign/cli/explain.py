"""`keepalign explain`: the page of a cause or a status, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from keepalign.cli import _options, debug_option
from keepalign.cli._options import Output

if TYPE_CHECKING:
    from keepalign.model.page import Page


@click.command(
    "explain",
    short_help="Explain a cause, or a status such as 502: why, how to tell, what helps.",
    epilog="Examples: keepalign explain backend-keepalive-below-lb-idle; keepalign explain 504",
)
@click.argument("words", nargs=-1, metavar="[SLUG|STATUS]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=_options.outputs_of("text", "markdown", "json"),
    metavar="FORMAT[=FILE]",
    help="text (the default), markdown or json, to standard output or to FILE; repeatable.",
)
@debug_option
def command(words: tuple[str, ...], formats: tuple[Output, ...]) -> int:
    """Explain a cause by its slug, or a status of a load balancer: 502, 504, 460 and others.

    A cause: what it is, why it happens on a time line, what helps, and how to find and reproduce it. A
    status: who made it, and the causes that show as it. Without a word: the list of all.
    """
    from keepalign.rules.pages import PAGES, named

    page = named(" ".join(words)) if words else None
    for output in formats:
        _write(output, page, PAGES)
    return 0


def _write(output: Output, page: Page | None, pages: tuple[Page, ...]) -> None:
    """Raises: UsageError: the output cannot be written."""
    if output.format == "json":
        from keepalign.reports import page_v1

        _options.emit(output, page_v1.render(page) if page is not None else page_v1.render_list(pages))
        return
    from keepalign.reports import page as layout

    if output.format == "markdown":
        text = layout.markdown(page) if page is not None else layout.index(pages)
        _options.emit(output, text.encode())
        return
    _options.emit_lines(output, layout.lines(page) if page is not None else layout.listed(pages))
