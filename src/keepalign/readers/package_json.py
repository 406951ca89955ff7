"""package.json: the scripts of a Node.js package, with the place of each, what it depends on, and the release
of Node.js that it asks for; so does a `.nvmrc` beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._reader import Fragment, Word
from keepalign.readers.requirements_txt import Pin

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class PackageJson(Fragment):
    """One package.

    Args:
        scripts: by name; the text of each as a word.
        main: what `node .` starts; empty when not written.
        dependencies: names of the packages that it needs where it runs.
        node: the release that it asks for: in `.nvmrc` beside it, else in `engines`. Its beginning where one
            line of releases is meant; None for a range over several.
    """

    scripts: Mapping[str, Word] = field(default_factory=dict)
    main: str = ""
    dependencies: frozenset[str] = frozenset()
    node: Pin | None = None


class PackageJsonReader:
    """Reads package.json."""

    name = "package_json"

    def recognise(self, path: str, head: bytes) -> bool:
        """By its name."""
        return path.replace("\\", "/").rpartition("/")[2] == "package.json"

    def read(self, source: SourceText) -> PackageJson:
        """Its scripts and names. Raises: ReadError: it is no JSON object."""
        try:
            held = json.loads(source.data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            span = source.span(error.start, error.start)
            raise ReadError("is not UTF-8", file=source.file, line=span.line, column=span.column) from error
        except json.JSONDecodeError as error:
            raise ReadError(
                f"is no JSON: {error.msg}", file=source.file, line=error.lineno, column=error.colno
            ) from error
        except (ValueError, RecursionError) as error:
            raise ReadError(f"is no JSON: {error}", file=source.file, line=1, column=1) from error
        if not isinstance(held, dict):
            raise ReadError("is no JSON object", file=source.file, line=1, column=1)
        needed = held.get("dependencies")
        main = held.get("main")
        return PackageJson(
            source.file,
            scripts=_texts(source, b'"scripts"'),
            node=_engine(_texts(source, b'"engines"').get("node")),
            main=main if isinstance(main, str) else "",
            dependencies=frozenset(needed) if isinstance(needed, dict) else frozenset(),
        )


# One release, or the newest of a line: "18", "18.x", "^18.17.0", "~18.1". An open range asks for none.
_RELEASE: Final = re.compile(r"\s*(?P<sign>[v^~=]*)\s*v?(?P<numbers>[0-9]+(?:\.[0-9]+)*)(?:\.[xX*])*\s*")
# Names of the lines with long support, by https://nodejs.org/en/about/previous-releases.
_LINES: Final = {
    "dubnium": "10", "erbium": "12", "fermium": "14", "gallium": "16", "hydrogen": "18", "iron": "20",
    "jod": "22", "krypton": "24",
}  # fmt: skip


def of_nvmrc(source: SourceText) -> Pin | None:
    """The release that a `.nvmrc` (or `.node-version`) names; None for one that moves ("node", "lts/*")."""
    match = re.search(rb"^[ \t]*([^#\s]+)", source.data, re.MULTILINE)
    if match is None:
        return None
    text = match[1].decode("utf-8", "replace")
    version = _LINES.get(text.removeprefix("lts/").lower()) or _release(text)
    return Pin("node", version, source.span(match.start(1), match.end(1))) if version else None


def _engine(word: Word | None) -> Pin | None:
    version = _release(word.text or "") if word is not None else ""
    return Pin("node", version, word.span) if word is not None and version else None


def _release(text: str) -> str:
    match = _RELEASE.fullmatch(text)
    if match is None:
        return ""
    parts = match["numbers"].split(".")
    kept = {"^": 1, "~": 2}.get(match["sign"][-1:], len(parts))
    return ".".join(parts[:kept])


def _texts(source: SourceText, name: bytes) -> dict[str, Word]:
    """The texts in the object `name` at the top. The file is valid JSON."""
    found: dict[str, Word] = {}
    depth, scripts = 0, False
    key: bytes | None = None
    for match in _TOKEN.finditer(source.data):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            scripts = scripts or (depth == 2 and token == b"{" and key == name)
            key = None
        elif token in (b"}", b"]"):
            scripts = scripts and depth > 2
            depth -= 1
            key = None
        elif token == b",":
            key = None
        elif token != b":" and key is None:
            key = token
        elif token != b":" and scripts and depth == 2 and key is not None:
            span = source.span(match.start(), match.end())
            text = json.loads(token)
            plain = b"\\" not in token
            inside = source.span(match.start() + 1, match.end() - 1) if plain else None
            found[json.loads(key)] = Word(text, span, inside)
    return found
