"""The words behind a program as command-line parsers take them: `--x=y`, `--x y`, `-x5`, `-x 5`, `-Dx5`, and
where the parser allows it (argparse does, click does not) any beginning of a long name that only one has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keepalign.model.source import Span
from keepalign.readers._reader import Word


@dataclass(frozen=True, slots=True)
class Table:
    """The flags of one program.

    Args:
        switches: long options without a value.
        values: long options with a value.
        short: short name to long name.
        optional_value: long options that take a value only if one follows.
        abbreviated: the beginning of a long name stands for it where no other begins so.
    """

    switches: frozenset[str]
    values: frozenset[str]
    short: Mapping[str, str]
    optional_value: frozenset[str] = frozenset()
    abbreviated: bool = True

    @property
    def long(self) -> frozenset[str]:
        """All long options."""
        return self.switches | self.values | self.optional_value


@dataclass(frozen=True, slots=True)
class Value:
    """The value of one option.

    Args:
        text: None when it cannot be resolved; `reason` says why.
        span: flag and value, or the assignment, as written; None where no file at hand writes it.
        what: the same in words.
        site: the bytes of the value alone; None when no single literal writes it.
        via: names that the text came through, with their places, nearest first.
        note: what else decided the value.
    """

    text: str | None
    span: Span | None
    what: str
    site: Span | None = None
    reason: str = ""
    via: tuple[tuple[str, Span], ...] = ()
    note: str = ""


@dataclass(slots=True)
class Parsed:
    """`unclear`: a word that may stand for any options."""

    options: dict[str, list[Value]] = field(default_factory=dict)
    positional: list[Word] = field(default_factory=list)
    unclear: Word | None = None

    def last(self, option: str) -> Value | None:
        """The value that counts of an option given several times."""
        values = self.options.get(option)
        return values[-1] if values else None


def parse(given: Sequence[Word], table: Table) -> Parsed:
    """The words behind the program's name."""
    parsed = Parsed()
    index = 0
    while index < len(given):
        word = given[index]
        following = given[index + 1] if index + 1 < len(given) else None
        index += 1
        text = word.text
        if text is None:
            # The last word, when no application was named yet, can only be the application.
            if word.splice or following is not None or parsed.positional:
                parsed.unclear = parsed.unclear or word
            else:
                parsed.positional.append(word)
        elif text == "--":
            parsed.positional += given[index:]
            break
        elif text.startswith("--"):
            index += _long(parsed, word, text, following, table)
        elif text.startswith("-") and len(text) > 1:
            index += _short(parsed, word, text, following, table)
        else:
            parsed.positional.append(word)
    return parsed


def _long(parsed: Parsed, word: Word, text: str, following: Word | None, table: Table) -> int:
    """Record a long option; the number of further words it took."""
    name, equals, _ = text.partition("=")
    candidates = [name] if name in table.long else []
    if not candidates and table.abbreviated:
        candidates = [option for option in table.long if option.startswith(name)]
    if len(candidates) != 1:
        return 0
    option = candidates[0]
    if equals:
        parsed.options.setdefault(option, []).append(_behind(word, len(name) + 1))
        return 0
    if option in table.values and following is not None and not following.splice:
        parsed.options.setdefault(option, []).append(_next(word, following))
        return 1
    if option in table.optional_value and following is not None:
        return 0 if (following.text or "-").startswith("-") else 1
    return 0


def _short(parsed: Parsed, word: Word, text: str, following: Word | None, table: Table) -> int:
    """Record `-t30`, `-t 30` or `-Dt30`; the number of further words it took."""
    for at in range(1, len(text)):
        option = table.short.get(f"-{text[at]}")
        if option is None:
            return 0
        if option in table.switches:
            continue
        skipped = at + 1
        if skipped == len(text):
            if following is None or following.splice:
                return 0
            parsed.options.setdefault(option, []).append(_next(word, following))
            return 1
        skipped += text[skipped] == "="
        parsed.options.setdefault(option, []).append(_behind(word, skipped))
        return 0
    return 0


def _next(flag: Word, value: Word) -> Value:
    """A value in a word of its own."""
    span = value.span
    # Words from two places (a script and its caller, a variable) have no stretch in common.
    plain = not flag.via and not value.via and flag.span.file == value.span.file
    if plain and flag.span.end <= span.start:
        span = replace(flag.span, end=span.end)
    what = f"{flag.text} {value.text if value.text is not None else '…'}"
    return Value(value.text, span, what, value.value_span, value.reason, value.via)


def _behind(word: Word, skipped: int) -> Value:
    """A value behind `skipped` characters of a word."""
    text = word.text or ""
    site = word.value_span
    if site is not None:
        before = len(text[:skipped].encode("utf-8", "surrogateescape"))
        plain = site.end - site.start == len(text.encode("utf-8", "surrogateescape"))
        site = replace(site, start=site.start + before, column=site.column + skipped) if plain else None
    return Value(text[skipped:], word.span, text, site, via=word.via)
