"""The files of one module folder: which are read, in which order, and how override files are merged."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keepalign.errors import ReadError
from keepalign.model.source import SourceText, Span, Step
from keepalign.readers._reader import Note
from keepalign.readers.terraform import json_syntax, jsontext, syntax
from keepalign.readers.terraform.structure import Attribute, Block, Body
from keepalign.readers.terraform.values import Piece, Stop, Value, fields_of

# Of data sources, the one that needs nothing but the configuration: templates as they were before 0.12.
_TEMPLATES = ("template_file",)


@dataclass(slots=True)
class ModuleFiles:
    """What a module folder declares, override files merged in.

    Args:
        blocks: by type and labels: ("resource", "aws_lb", "this"), ("variable", "name"); in file order.
        locals: of all `locals` blocks, by name.
    """

    folder: str
    blocks: dict[tuple[str, ...], Block] = field(default_factory=dict)
    locals: dict[str, Attribute] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def of_type(self, kind: str) -> list[tuple[tuple[str, ...], Block]]:
        """Labels and blocks of one type, in file order."""
        return [(key[1:], block) for key, block in self.blocks.items() if key[0] == kind]


def shown(folder: str, name: str) -> str:
    """The path of a file to show and to edit: normalised, so "main.tf" in the folder "."."""
    return posixpath.normpath(posixpath.join(folder, name))


def is_override(name: str) -> bool:
    """Whether Terraform merges this file into the others."""
    stem = name.removesuffix(".json").rsplit(".", 1)[0]
    return stem == "override" or stem.endswith("_override")


def read_folder(files: Mapping[str, bytes], folder: str) -> ModuleFiles:
    """Parse and merge. Raises: ReadError: the first file that is no valid HCL, or JSON."""
    module = ModuleFiles(folder)
    here = sorted(name for name in files if "/" not in name)
    # OpenTofu reads main.tofu instead of main.tf, and main.tofu.json instead of main.tf.json.
    hidden = {name.replace(".tofu", ".tf") for name in here if name.endswith((".tofu", ".tofu.json"))}
    kinds = (".tf", ".tf.json", ".tofu", ".tofu.json")
    names = [name for name in here if name.endswith(kinds) and name not in hidden]
    for name in sorted(names, key=lambda name: (is_override(name), name)):
        parse = json_syntax.parse if name.endswith(".json") else syntax.parse
        body = parse(SourceText(shown(folder, name), files[name]))
        for block in body.blocks:
            _add(module, block, override=is_override(name))
    return module


def read_known(data: bytes, folder: str) -> ModuleFiles:
    """What a file of `known_modules` declares; its spans' file is `folder`."""
    module = ModuleFiles(folder)
    for block in syntax.parse(SourceText(folder, data)).blocks:
        _add(module, block, override=False)
    return module


def _add(module: ModuleFiles, block: Block, *, override: bool) -> None:
    if block.type == "locals":
        for name, attribute in block.body.attributes.items():
            if name in module.locals and not override:
                _twice(attribute.source, attribute.start, f"local.{name}", module.locals[name].span)
            module.locals[name] = attribute
        return
    if block.type not in ("resource", "variable", "output", "module") and block.labels[:1] != _TEMPLATES:
        return
    key = (block.type, *block.labels)
    known = module.blocks.get(key)
    if known is None:
        if override:
            text = f"{' '.join(key)} is in an override file, but in no other; Terraform refuses that"
            module.notes.append(Note(block.span, text))
        module.blocks[key] = block
    elif override:
        _merge(known.body, block.body)
    else:
        _twice(block.source, block.start, " ".join(key), known.span)


def _twice(source: SourceText, at: int, what: str, first: Span) -> None:
    place = source.span(at, at)
    raise ReadError(
        f"{what} is declared twice: here and at {first.place}",
        file=place.file,
        line=place.line,
        column=place.column,
        hint="Terraform refuses this module until one of them is removed",
    )


def _merge(into: Body, override: Body) -> None:
    """Arguments replace those of the same name; nested blocks replace all of the same type."""
    into.attributes.update(override.attributes)
    replaced = {_kind(block) for block in override.blocks}
    into.blocks[:] = [block for block in into.blocks if _kind(block) not in replaced]
    into.blocks.extend(override.blocks)


def _kind(block: Block) -> str:
    """A `dynamic "x"` block counts as an `x`."""
    return block.labels[0] if block.type == "dynamic" and block.labels else block.type


def variable_files(names: Iterable[str]) -> list[str]:
    """The files that set variables, weakest first, as Terraform loads them."""
    fixed = ("terraform.tfvars", "terraform.tfvars.json")
    here = [name for name in names if "/" not in name]
    automatic = sorted(n for n in here if n.endswith((".auto.tfvars", ".auto.tfvars.json")))
    return [*(name for name in fixed if name in here), *automatic]


def given_variables(files: Mapping[str, bytes], folder: str) -> dict[str, Attribute | Value]:
    """Values of the root module's variables from files; the strongest only. Raises: ReadError."""
    given: dict[str, Attribute | Value] = {}
    for name in variable_files(files):
        source = SourceText(shown(folder, name), files[name])
        if name.endswith(".json"):
            given.update(_json_variables(source))
        else:
            given.update(syntax.parse(source).attributes)
    return given


def _json_variables(source: SourceText) -> Mapping[str, Value]:
    text = source.data.decode("utf-8", "replace")
    whole = source.span(0, 0)
    try:
        piece = Piece(text, source, 0, len(source.data))
        return fields_of(jsontext.decode(Value(text, (Step(whole, ""),), pieces=(piece,)))).values
    except Stop as stopped:
        raise ReadError(
            stopped.unresolved.reason, file=source.file, hint="Terraform needs a JSON object"
        ) from None
