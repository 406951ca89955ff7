"""Which Go files of a tree make the program that an image runs: modules, packages, `go build`, imports."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._stages import Run, Stage, stage_of
from keepalign.readers.golang._syntax import imports_of, is_built
from keepalign.readers.projects import Image, ProjectFiles, below

_MODULE: Final = re.compile(rb"^module[ \t]+\"?([^\s\"]+)", re.MULTILINE)
_GO: Final = re.compile(rb"^(?:toolchain[ \t]+go|go[ \t]+)(\d+\.\d+(?:\.\d+)?)", re.MULTILINE)
_MAIN: Final = re.compile(rb"^package[ \t]+main\b", re.MULTILINE)
_BUILD: Final = re.compile(r"\bgo[ \t]+(?:build|install|run)\b([^;&|\n]*)")
_CD: Final = re.compile(r"\bcd[ \t]+([^\s;&|]+)")
_VALUE_FLAGS: Final = frozenset({
    "-o", "-ldflags", "-gcflags", "-asmflags", "-tags", "-mod", "-p", "-buildmode", "-C", "-installsuffix",
    "-pkgdir", "-overlay", "-modfile", "-toolexec", "-compiler", "-covermode",
})  # fmt: skip
_MOST_FILES: Final = 4_000
TELLING: Final = re.compile(
    rb"\.Server\{|\.Server\)|\.Server$|ListenAndServe|IdleTimeout|ReadTimeout|WriteTimeout|ReadHeaderTimeout|SIGTERM"
    rb"|signal\.Notify|\.Shutdown|gin\.(?:Default|New|Engine)|echo\.(?:New|Echo)|fiber\.|fasthttp\.",
    re.MULTILINE,
)
"""What starts or ends a server, or limits it."""

_NAMING: Final = re.compile(rb"\btime\.(?:Second|Minute|Millisecond|Hour|Duration)|(?:env|[dD]efault)\w*:\"")
"""What else may hold a length of time."""


@dataclass(frozen=True, slots=True)
class Module:
    """One go.mod.

    Args:
        path: how its packages are imported.
        go: its version of Go, and where it stands; empty when it names none.
    """

    folder: str
    path: str
    source: SourceText
    go: str = ""
    go_span: Span | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """One `go build`, `go install` or `go run`.

    Args:
        output: the name of the program, of its whole path as far as `-o` says; empty for none.
        packages: as written, relative to `workdir`.
    """

    output: str
    packages: tuple[str, ...]
    workdir: str


@dataclass(frozen=True, slots=True)
class _File:
    """What one file is good for.

    Args:
        telling: it may start or end a server, or limit it; `naming`: else it may name a length of time.
    """

    main: bool
    telling: bool
    naming: bool
    imports: tuple[str, ...]


@dataclass(slots=True)
class Code:
    """The packages of a tree as far as they were looked at: once each."""

    files: ProjectFiles
    modules: dict[str, Module] = field(default_factory=dict)
    _packages: dict[str, Mapping[str, _File]] = field(default_factory=dict)
    _by_folder: dict[str, list[str]] = field(default_factory=dict)

    def load(self) -> None:
        """Every go.mod, and the folders of all Go files."""
        for file in self.files.listed:
            if file.endswith(".go"):
                self._by_folder.setdefault(os.path.dirname(file), []).append(file)
            elif os.path.basename(file) == "go.mod":
                data = self.files.peek(file)
                named = _MODULE.search(data) if data is not None else None
                if data is None or named is None:
                    continue
                source = SourceText(file, data)
                # `toolchain`, which stands behind `go`, is what builds.
                go = [*_GO.finditer(data)][-1:]
                folder = os.path.dirname(file)
                self.modules[folder] = Module(
                    folder, named[1].decode("utf-8", "replace"), source,
                    go[0][1].decode() if go else "", source.span(*go[0].span()) if go else None,
                )  # fmt: skip

    def package(self, folder: str) -> Mapping[str, _File]:
        """The files of a package that are built, by name."""
        if folder not in self._packages:
            found = {}
            for file in self._by_folder.get(folder, ()):
                data = self.files.peek(file)
                if data is not None and is_built(file, data):
                    found[file] = _File(
                        _MAIN.search(data) is not None,
                        TELLING.search(data) is not None,
                        _NAMING.search(data) is not None,
                        tuple(imports_of(data).values()),
                    )
            self._packages[folder] = found
        return self._packages[folder]

    def is_main(self, folder: str) -> bool:
        """Whether a folder holds a program."""
        return any(one.main for one in self.package(folder).values())

    def folder_of(self, path: str) -> str | None:
        """The folder of an imported package; None where it is not in the tree."""
        for module in self.modules.values():
            if path == module.path:
                return module.folder
            if path.startswith(f"{module.path}/"):
                folder = os.path.join(module.folder, *path[len(module.path) + 1 :].split("/"))
                if folder in self._by_folder:
                    return folder
        return None

    def mains(self, module: Module) -> list[str]:
        """Every folder of a module that holds a program."""
        folders = dict.fromkeys(
            os.path.dirname(f) for f in below(module.folder, self.files.listed) if f.endswith(".go")
        )
        return [one for one in list(folders)[:_MOST_FILES] if self.is_main(one)]

    def closure(self, folder: str) -> tuple[list[str], list[str], list[str]]:
        """What a program is made of: its telling files, those that may name its times, all its imports."""
        telling: list[str] = []
        naming: list[str] = []
        imports: dict[str, None] = {}
        waiting, seen, count = [folder], {folder}, 0
        while waiting and count < _MOST_FILES:
            for file, held in self.package(waiting.pop(0)).items():
                count += 1
                if held.telling:
                    telling.append(file)
                elif held.naming:
                    naming.append(file)
                for path in held.imports:
                    imports[path] = None
                    found = self.folder_of(path)
                    if found is not None and found not in seen:
                        seen.add(found)
                        waiting.append(found)
        return telling, naming, list(imports)


def module_of(image: Image, code: Code) -> Module | None:
    """The module that an image is built from."""
    return next((code.modules[one] for one in image.contexts() if one in code.modules), None)


def builds_of(stages: Sequence[Stage]) -> list[Build]:
    """Every `go build` of a Dockerfile."""
    return [one for stage in stages for run in stage.runs for one in _builds(run)]


def _builds(run: Run) -> Iterator[Build]:
    for match in _BUILD.finditer(run.text):
        workdir = run.workdir
        for folder in _CD.finditer(run.text, 0, match.start()):
            workdir = posixpath.normpath(posixpath.join(workdir, folder[1]))
        output, packages = "", []
        words = re.findall(r"(?:\"[^\"]*\"|'[^']*'|[^\s\"'])+", match[1])
        index = 0
        while index < len(words):
            word = words[index].strip("\"'")
            index += 1
            if not word.startswith("-"):
                packages.append(word)
                continue
            name, equals, value = word.partition("=")
            if name.replace("--", "-", 1) in _VALUE_FLAGS and not equals and index < len(words):
                value = words[index].strip("\"'")
                index += 1
            if name == "-o":
                output = value
        if "go run" in match[0]:
            packages = packages[:1]
        yield Build(output, tuple(packages), workdir)


def built(program: str, stages: Sequence[Stage], builds: Sequence[Build]) -> list[Build] | None:
    """Those of `builds` that make `program`, as the last stage starts it: all when none is told.

    None where nothing says that it is a program of the image's own.
    """
    last = stages[-1]
    path = posixpath.normpath(posixpath.join(last.workdir, program))
    if "/" not in program:
        # Found by PATH: where a COPY puts it.
        targets = (copy.target for copy in last.copies)
        path = next((one for one in targets if posixpath.basename(one) == program), path)
    fitting = [one for one in builds if _makes(one, {posixpath.basename(path)} | _copied_from(path, stages))]
    taken = [
        copy.target.rstrip("/") or "/" for copy in last.copies if stage_of(stages, copy.stage) is not None
    ]
    own = "golang" in last.base or path in taken or posixpath.dirname(path) in taken
    return fitting or (list(builds) if own else None)


def _makes(build: Build, names: set[str]) -> bool:
    if build.output and not build.output.endswith("/") and build.output != ".":
        return posixpath.basename(build.output) in names
    return any(posixpath.basename(re.sub(r"/?[^/]*\.go$", "", one)) in names for one in build.packages)


def _copied_from(path: str, stages: Sequence[Stage]) -> set[str]:
    """What a program was called in the stages that it was copied from."""
    found: set[str] = set()
    wanted = {path}
    for _ in stages[:4]:
        for copy in (copy for stage in stages for copy in stage.copies):
            if copy.target in wanted and stage_of(stages, copy.stage) is not None:
                found |= {posixpath.basename(source) for source in copy.sources}
                wanted |= set(copy.sources)
    return found


def target_of(build: Build, module: Module, code: Code) -> list[str]:
    """The folders of the programs that a build makes."""
    found: dict[str, None] = {}
    for package in build.packages or (".",):
        if package.startswith(module.path):
            package = f"./{package[len(module.path) :].lstrip('/')}"
        path = re.sub(r"(^|/)[^/]*\.go$", "", package) or "."
        inner = posixpath.normpath(path.lstrip("/") if path.startswith("/") else path)
        if inner.endswith("..."):
            start = posixpath.join(module.folder, posixpath.dirname(inner)) if "/" in inner else module.folder
            within = [m for m in code.mains(module) if start in ("", m) or m.startswith(f"{start}/")]
            found |= dict.fromkeys(within)
            continue
        # The image's folders are not the tree's: the longest end of the path that holds a program counts.
        whole = posixpath.normpath(posixpath.join(build.workdir.lstrip("/"), inner))
        parts = [part for part in whole.split("/") if part not in (".", "..")]
        for skip in range(len(parts) + 1):
            folder = (
                os.path.normpath(os.path.join(module.folder, *parts[skip:]))
                if parts[skip:]
                else module.folder
            )
            if code.is_main(folder):
                found[folder] = None
                break
    return list(found)
