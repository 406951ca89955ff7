"""package.json: the scripts of a Node.js package, with the place of each, and what it depends on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepalign.errors import ReadError
from keepalign.model.source import SourceText
from keepalign.readers._reader import Fragment, Word

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class PackageJson(Fragment):
    """One package.

    Args:
        scripts: by name; the text of each as a word.
        main: what `node .` starts; empty when not written.
        dependencies: names of the packages that it needs where it runs.
    """

    scripts: Mapping[str, Word] = field(default_factory=dict)
    main: str = ""
    dependencies: frozenset[str] = frozenset()


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
            scripts=_scripts(source),
            main=main if isinstance(main, str) else "",
            dependencies=frozenset(needed) if isinstance(needed, dict) else frozenset(),
        )


def _scripts(source: SourceText) -> dict[str, Word]:
    """The texts in the object `scripts` at the top. The file is valid JSON."""
    found: dict[str, Word] = {}
    depth, scripts = 0, False
    key: bytes | None = None
    for match in _TOKEN.finditer(source.data):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
            scripts = scripts or (depth == 2 and token == b"{" and key == b'"scripts"')
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
