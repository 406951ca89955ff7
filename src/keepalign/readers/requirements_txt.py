"""requirements.txt: which packages are pinned to one version. Nothing else in it matters here.

Format: pip's "Requirements File Format" and the version specifiers of the Python Packaging User Guide. A pin
is `name==version` or `name===version`; a range, an address or a file that another one names pins nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._reader import Fragment

# Extras may stand behind the name; further specifiers, a marker, hashes or a comment behind the version.
_PIN: Final = re.compile(
    rb"^[ \t]*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[ \t]*(?:\[[^\]\n]*\])?[ \t]*"
    rb"={2,3}[ \t]*(?P<version>[0-9][A-Za-z0-9.!+_-]*)",
    re.MULTILINE,
)
_SEPARATORS: Final = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package.

    Args:
        name: normalised: lower case, with "-".
        version: only its beginning where the pin ends in `.*`.
        span: "gunicorn==27.0.1" as written.
    """

    name: str
    version: str
    span: Span


@dataclass(frozen=True, slots=True)
class RequirementsTxt(Fragment):
    """One file, its pins in order. A package may be pinned twice, under different markers."""

    pins: tuple[Pin, ...] = ()

    def versions(self, name: str) -> tuple[Pin, ...]:
        """The pins of one package, by its normalised name."""
        return tuple(pin for pin in self.pins if pin.name == name)


class RequirementsReader:
    """Reads pip's requirements files. There is no text that it cannot read."""

    name = "requirements_txt"

    def recognise(self, path: str, head: bytes) -> bool:
        """requirements.txt, requirements-prod.txt, requirements_base.txt, requirements/base.txt."""
        *_, folder, base = ("", *path.replace("\\", "/").lower().split("/"))
        return base.endswith(".txt") and (base.startswith("requirements") or folder == "requirements")

    def read(self, source: SourceText) -> RequirementsTxt:
        """Its pins."""
        pins = []
        for match in _PIN.finditer(source.data):
            name = _SEPARATORS.sub("-", match["name"].decode("ascii")).lower()
            version = match["version"].decode("ascii").rstrip(".")
            pins.append(Pin(name, version, source.span(match.start("name"), match.end("version"))))
        return RequirementsTxt(source.file, pins=tuple(pins))
