"""Templates to texts: pieces that are copied, and values that are put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from keepalign.model.source import SourceText, Span, Step
from keepalign.readers.terraform import syntax
from keepalign.readers.terraform.nodes import (
    Expr,
    ForPart,
    IfPart,
    Interpolation,
    Part,
    Template,
    TextPart,
)
from keepalign.readers.terraform.trails import computed, pairs, through
from keepalign.readers.terraform.values import (
    MAX_ITEMS,
    MAX_TEXT,
    JsonText,
    Piece,
    Scope,
    Stop,
    Unresolved,
    Value,
    bool_of,
    fields_of,
    json_text,
    stop,
    text_of,
    unresolved_of,
)

_MAX_PATTERN: Final = 4_000


class Rendering:
    """`evaluate`: of the module whose templates these are."""

    def __init__(self, evaluate: Callable[[Expr, Scope], Value]) -> None:
        self._evaluate = evaluate

    def template(self, expr: Template, scope: Scope) -> Value:
        """A string or heredoc."""
        parts = expr.parts
        if len(parts) == 1 and isinstance(parts[0], Interpolation):
            return through(expr.span, self._evaluate(parts[0].expr, scope))
        if all(isinstance(part, TextPart) for part in parts) and expr.inner is not None:
            text = "".join(part.value for part in parts if isinstance(part, TextPart))
            value = self._text(expr.span, self._pieces(parts, scope), [])
            return replace(value, data=text, literal=expr.source.span(*expr.inner))
        return self._text(expr.span, self._pieces(parts, scope), [])

    def file(self, use: Span, source: SourceText, given: Sequence[Value]) -> Value:
        """What `templatefile` makes of a file; the first of `given` holds variables. Raises: ReadError."""
        scope = fields_of(given[0]).values if given else {}
        return self._text(use, self._pieces(syntax.parse_template(source), scope), given)

    def rendered(self, template: Value, variables: Value | None) -> Value:
        """What the data source template_file makes of both. Raises: ReadError; Stop: not known."""
        text = text_of(template)
        scope = fields_of(variables).values if variables is not None and variables.data is not None else {}
        pieces = template.pieces
        whole = pieces[0].source if len(pieces) == 1 and pieces[0].value is None else None
        if whole is None or whole.data != text.encode():
            # An inline text: where its pieces stand cannot be told.
            nowhere = SourceText(template.place.file, b"")
            parts = syntax.parse_template(SourceText(nowhere.file, text.encode()))
            trail = template.trail[:1]
            found = [
                Piece(piece.text, nowhere, 0, 0, piece.value or Value(piece.text, trail))
                for piece in self._pieces(parts, scope)
            ]
            return self._text(template.place, found, [])
        return self._text(template.place, self._pieces(syntax.parse_template(whole), scope), [])

    def _pieces(self, parts: Sequence[Part], scope: Scope) -> list[Piece]:
        pieces: list[Piece] = []
        for part in parts:
            at = (part.source, part.start, part.end)
            match part:
                case TextPart(value=text, verbatim=True):
                    pieces.append(Piece(text, *at))
                case TextPart(value=text):
                    pieces.append(Piece(text, *at, Value(text, (Step(part.span, ""),))))
                case Interpolation(expr=expr):
                    value = self._evaluate(expr, scope)
                    pieces.append(Piece(_piece_text(value), *at, value))
                case IfPart():
                    condition = self._evaluate(part.condition, scope)
                    if (unresolved := unresolved_of(condition.data)) is not None:
                        pieces.append(Piece(None, *at, Value(unresolved, (Step(part.span, ""),))))
                    else:
                        chosen = part.then if bool_of(condition) else part.otherwise
                        pieces.extend(self._pieces(chosen, scope))
                case ForPart():
                    pieces.extend(self._for_pieces(part, scope))
            if len(pieces) > MAX_ITEMS:
                stop("a template of too many pieces")
        return pieces

    def _for_pieces(self, part: ForPart, scope: Scope) -> list[Piece]:
        collection = self._evaluate(part.collection, scope)
        if (unresolved := unresolved_of(collection.data)) is not None:
            value = Value(unresolved, (Step(part.span, ""),))
            return [Piece(None, part.source, part.start, part.end, value)]
        pieces: list[Piece] = []
        for key, value in pairs(collection):
            inner = {**scope, part.value: value}
            if part.key is not None:
                inner[part.key] = key
            pieces.extend(self._pieces(part.body, inner))
            if len(pieces) > MAX_ITEMS:
                stop("a template of too many pieces")
        return pieces

    def _text(self, use: Span, pieces: list[Piece], operands: Sequence[Value]) -> Value:
        put_in = [piece.value for piece in pieces if piece.value is not None]
        trail = computed(use, None, [*put_in, *operands]).trail
        if sum(len(piece.text or "") for piece in pieces) > MAX_TEXT:
            stop(f"a text of more than {MAX_TEXT} characters")
        unknown = [u for v in put_in if (u := _text_unresolved(v)) is not None]
        if not unknown:
            return Value("".join(piece.text or "" for piece in pieces), trail, pieces=tuple(pieces))
        pattern = "".join(_pattern(piece) if piece.text is None else piece.text for piece in pieces)
        refs = tuple(dict.fromkeys(ref for u in unknown for ref in u.refs))
        if len(pattern) > _MAX_PATTERN:
            pattern = "*"
        return Value(
            Unresolved(unknown[0].reason, any(u.error for u in unknown), refs, pattern),
            trail,
            pieces=tuple(pieces),
        )


def _piece_text(value: Value) -> str | None:
    """What an interpolation of `value` puts in; None when that is not known."""
    if isinstance(value.data, JsonText):
        try:
            return json_text(value.data)
        except Stop:
            return None
    try:
        return text_of(value)
    except Stop:
        return None


def _pattern(piece: Piece) -> str:
    unresolved = unresolved_of(piece.value.data) if piece.value is not None else None
    return unresolved.pattern if unresolved is not None else "*"


def _text_unresolved(value: Value) -> Unresolved | None:
    """Why `value` cannot be put into a text; None when it can."""
    try:
        text_of(value)
    except Stop as stopped:
        return stopped.unresolved
    return None
