"""Images of containers, and the folders that they are built from."""

from __future__ import annotations

import os
from typing import Final

from keepalign.readers.cdk._expr import Call, Expr, Member, Name, Options, Pieces, last_name
from keepalign.readers.cdk._values import Values

_DEEPEST: Final = 5


class Images:
    """What the images of one file are.

    Args:
        listed: every file of the tree.
    """

    def __init__(self, values: Values, listed: frozenset[str]) -> None:
        self._values = values
        self._listed = listed

    def image(self, expr: Expr | None, depth: int = 0) -> tuple[str | None, str | None]:
        """The image, and the folder or Dockerfile that builds it."""
        if expr is None:
            return None, None
        held = self._values.found(expr).expr
        name = last_name(held.function) if isinstance(held, Call) else ""
        if not isinstance(held, Call) or (not held.arguments and held.options is None):
            return "*", None
        given = held.arguments[0] if held.arguments else None
        match name:
            case "fromRegistry":
                return self._values.pattern(given) or "*", None
            case "fromAsset" | "Asset":
                return "*", self._folder(given, held.options)
            case "DockerImageAsset":
                directory = held.options.entries.get("directory") if held.options is not None else None
                return "*", self._folder(directory, held.options)
            case "fromDockerImageAsset":
                return self.image(given, depth + 1) if given is not None and depth < _DEEPEST else ("*", None)
            case "fromEcrRepository":
                tag = self._values.pattern(held.arguments[1]) if len(held.arguments) > 1 else "latest"
                return f"*/{self._repository(given)}:{tag}", None
            case _:
                return "*", None

    def _repository(self, expr: Expr | None) -> str:
        held = self._values.found(expr).expr if expr is not None else None
        if not isinstance(held, Call):
            return "*"
        if held.options is not None and "repositoryName" in held.options.entries:
            return self._values.pattern(held.options.entries["repositoryName"]) or "*"
        if last_name(held.function) == "fromRepositoryName" and len(held.arguments) > 2:
            return self._values.pattern(held.arguments[2]) or "*"
        return "*"

    def _folder(self, expr: Expr | None, options: Options | None) -> str | None:
        """What `fromAsset` names, relative to the file itself or to where the CDK is run."""
        path, here = self._path(expr)
        if path is None:
            return None
        file = self._values.text(options.entries.get("file")) if options is not None else None
        own = os.path.dirname(self._values.source.file)
        bases = [own] if here else [*_above(own)]
        for base in bases:
            folder = os.path.normpath(os.path.join(base, path))
            built = os.path.normpath(os.path.join(folder, file)) if file is not None else folder
            if f"{folder}/Dockerfile".removeprefix("./") in self._listed or built in self._listed:
                return built
        return None

    def _path(self, expr: Expr | None) -> tuple[str | None, bool]:
        """A path as text, and whether it begins at the file itself: `path.join(__dirname, '..', 'app')`."""
        if expr is None:
            return None, False
        held = self._values.found(expr).expr
        if isinstance(held, Call) and last_name(held.function) in ("join", "resolve", "joinpath"):
            parts = list(held.arguments)
            here = bool(parts) and self._is_here(parts[0])
            texts = [self._values.text(one) for one in parts[here:]]
            return (os.path.join(*[t for t in texts if t], "") if None not in texts else None), here
        if isinstance(held, Pieces) and held.parts and self._is_here(held.parts[0]):
            texts = [self._values.text(one) for one in held.parts[1:]]
            return ("".join(t or "" for t in texts).lstrip("/") if None not in texts else None), True
        return self._values.text(expr), False

    def _is_here(self, expr: Expr) -> bool:
        held = self._values.found(expr).expr
        if isinstance(held, Name):
            return held.name == "__dirname"
        if isinstance(held, Member):
            return held.name == "parent"
        return isinstance(held, Call) and last_name(held.function) in ("dirname", "fileURLToPath", "abspath")


def _above(folder: str) -> list[str]:
    """The folder and all above it, the nearest first."""
    found = [folder]
    while folder not in ("", "/", "."):
        above = os.path.dirname(folder)
        found.append(above)
        if above == folder:
            break
        folder = above
    return found
