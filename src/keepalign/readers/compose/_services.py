"""One service of a Compose project as a container, from all the files that say something of it.

Of several files the one on top wins: mappings entry by entry (`environment`, also where one is a list;
volumes by their place in the container), sequences are added up (`ports`, `expose`, `env_file`), everything
else is replaced as a whole. `!reset` takes away what lies below, `!override` replaces it.

Source: docs.docker.com/reference/compose-file/merge.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Origin, OriginKind, Site, SourceText, Step
from keepalign.readers._aws import Container
from keepalign.readers._fragments import DockerfileFragment
from keepalign.readers._reader import Absent, CommandLine, CommandStyle, Read
from keepalign.readers._shell_words import Variable
from keepalign.readers._yaml import Fields, Items, Node, Scalar, insertion
from keepalign.readers.compose._text import Text, interpolated
from keepalign.units import Duration

_GRACE: Final = "stop_grace_period"
_PORT: Final = re.compile(r"(?:.*:)?(\d{1,5})(?:-(\d{1,5}))?(?:/tcp)?")
_MOST_PORTS: Final = 64
"""Of one range: nobody publishes more of a web server."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one file says of a service. `fields` holds its keys, `key` is its name there."""

    source: SourceText
    key: Scalar
    fields: Fields

    @property
    def folder(self) -> str:
        """That paths in it are relative to."""
        return os.path.dirname(self.source.file)


@dataclass(frozen=True, slots=True)
class Scope:
    """What holds for a whole project.

    Args:
        variables: of `.env`, by name.
        env_files: what an `env_file` of that path sets; None when it cannot be looked at.
        configs: top-level configs: name to the path of its file.
    """

    variables: Mapping[str, Variable]
    configs: Mapping[str, str]
    env_files: Mapping[str, Mapping[str, Variable] | None]


@dataclass(frozen=True, slots=True)
class ComposeService:
    """A service.

    Args:
        container: as the join takes containers.
        publishes: some port of it is published on the host.
        profiles: those of which one has to be chosen for it to start; empty: it always does.
    """

    container: Container
    publishes: bool = False
    profiles: tuple[str, ...] = ()

    @property
    def image(self) -> DockerfileFragment:
        """The image with what lies over it; its command and the rest of what a Dockerfile says are unknown
        where one builds it."""
        container = self.container
        return DockerfileFragment(
            file=container.place.file,
            base=container.image or "",
            base_span=container.image_span,
            entrypoint=container.entry_point,
            cmd=container.command,
            environment=container.environment,
            workdir=container.workdir,
            mounts=container.mounts,
            mounted_by=container.place.file,
        )


@dataclass(frozen=True, slots=True)
class ServiceReading:
    """One service under way; `layers` from the bottom to the top, at least one."""

    name: str
    layers: Sequence[Layer]
    scope: Scope

    def service(self) -> ComposeService:
        """The service that the layers make."""
        top = self.layers[-1]
        image = self._text("image")
        published, opened = self._ports()
        return ComposeService(
            container=Container(
                name=self.name,
                place=top.key.span,
                image=image.pattern if image is not None else None,
                image_span=image.scalar.span if image is not None else None,
                command=self._command("command"),
                entry_point=self._command("entrypoint"),
                stop_timeout=self._grace(),
                ports=tuple(dict.fromkeys((*published, *opened))),
                depends_on=self._depends_on(),
                environment=self._environment(),
                build=self._build(),
                stop_signal=self._plain("stop_signal"),
                target=self._build_option("target") or "",
                workdir=self._plain("working_dir") or "",
                mounts=self._mounts(),
                aliases=self._aliases(),
                loopback=self._loopback(),
            ),
            publishes=bool(published),
            profiles=tuple(text for node in self._list("profiles") if (text := self._said(node))),
        )

    # Where a key stands

    def _layers(self, key: str) -> Iterator[tuple[Layer, Node]]:
        """What the layers say of `key`, from the top; below an `!override` or `!reset` nothing counts."""
        for layer in reversed(self.layers):
            node = layer.fields.get(key)
            if node is None:
                continue
            if node.tag == "!reset":
                return
            yield layer, node
            if node.tag == "!override":
                return

    def _top(self, key: str) -> tuple[Layer, Node] | None:
        return next(self._layers(key), None)

    def _text(self, key: str) -> Text | None:
        layer, node = self._top(key) or (None, None)
        if layer is None or not isinstance(node, Scalar) or node.value is None:
            return None
        return interpolated(layer.source, node, self.scope.variables)

    def _plain(self, key: str) -> str | None:
        """A text that is known; None otherwise."""
        text = self._text(key)
        return text.whole.text if text is not None else None

    def _list(self, key: str) -> list[tuple[Layer, Node]]:
        """The items of a sequence (or the one text that stands for it) in all layers, the lowest first."""
        found: list[tuple[Layer, Node]] = []
        for layer, node in reversed(list(self._layers(key))):
            items = node.items if isinstance(node, Items) else (node,)
            found += [(layer, item) for item in items]
        return found

    def _said(self, at: tuple[Layer, Node]) -> str | None:
        layer, node = at
        if not isinstance(node, Scalar) or node.value is None:
            return None
        return interpolated(layer.source, node, self.scope.variables).whole.text

    # What the keys mean

    def _command(self, key: str) -> CommandLine | None:
        found = self._top(key)
        if found is None:
            return None
        layer, node = found
        if isinstance(node, Items):
            return self._listed(layer, node)
        if not isinstance(node, Scalar) or node.value is None:
            return None
        words, end = interpolated(layer.source, node, self.scope.variables).words()
        place = layer.source.span(words[0].span.start, end.start) if words and end is not None else node.span
        return CommandLine(tuple(words), CommandStyle.SHELL, place, end)

    def _listed(self, layer: Layer, node: Items) -> CommandLine:
        scalars = [item for item in node.items if isinstance(item, Scalar)]
        words = tuple(interpolated(layer.source, one, self.scope.variables).whole for one in scalars)
        if not scalars:
            return CommandLine(words, CommandStyle.LIST, node.span)
        last = scalars[-1].span
        at = layer.source.span(last.end, last.end)
        if layer.source.data[node.span.start : node.span.start + 1] == b"[":
            return CommandLine(words, CommandStyle.LIST, node.span, at)
        first = scalars[0].span
        data = layer.source.data
        begin = data.rfind(b"\n", 0, first.start) + 1
        dash = data[begin : first.start]
        if not re.fullmatch(rb"[ \t]*-[ \t]+", dash):
            return CommandLine(words, CommandStyle.LIST, node.span)
        newline = "\r\n" if data[begin - 2 : begin] == b"\r\n" else "\n"
        return CommandLine(words, CommandStyle.ROWS, node.span, at, lead=f"{newline}{dash.decode('ascii')}")

    def _grace(self) -> Read:
        layer, scalar = self._top(_GRACE) or (self.layers[-1], None)
        if not isinstance(scalar, Scalar) or scalar.value is None:
            return Absent(_GRACE, insertion(layer.source, layer.fields, f"{_GRACE}: {{value}}s"))
        word = interpolated(layer.source, scalar, self.scope.variables).whole
        steps = [Step(scalar.span, f"{_GRACE}: {word.text or '…'}")]
        steps += [Step(place, name) for name, place in word.via]
        origin = Origin(OriginKind.FILE, tuple(steps))
        site = Site(word.value_span, "{value}s") if word.value_span is not None else None
        if word.text is None:
            return Unknown(option=_GRACE, origin=origin, site=site, reason=word.reason)
        try:
            value = Duration.parse(word.text)
        except ValueError:
            reason = f"{word.text[:40]!r} is no duration with a unit, such as 30s or 1m30s"
            return Unknown(option=_GRACE, origin=origin, site=site, reason=reason)
        return Explicit(option=_GRACE, origin=origin, site=site, value=value)

    def _environment(self) -> Mapping[str, str | None]:
        """`environment` over what `env_file` names, of which the last file wins."""
        found: dict[str, str | None] = {}
        for path in self.env_files():
            read = self.scope.env_files.get(path)
            found |= {name: variable.text for name, variable in (read or {}).items()}
        for layer, node in reversed(list(self._layers("environment"))):
            for name, text in self._pairs(layer, node):
                found[name] = text
        return found

    def _pairs(self, layer: Layer, node: Node) -> Iterator[tuple[str, str | None]]:
        """Of a mapping, or of a list of `NAME=value`; a name alone is handed on from where Compose runs."""
        variables = self.scope.variables
        if isinstance(node, Fields):
            for name in node.names:
                value = node.get(name)
                if isinstance(value, Scalar) and (value.value is not None or not value.plain):
                    yield name, interpolated(layer.source, value, variables).whole.text
                else:
                    yield name, self._handed(name)
        elif isinstance(node, Items):
            for item in node.items:
                if isinstance(item, Scalar):
                    text = interpolated(layer.source, item, variables)
                    name, equals, given = text.pattern.partition("=")
                    known = text.whole.text is not None or "*" not in given
                    yield name.strip(), (given if known else None) if equals else self._handed(name.strip())

    def _handed(self, name: str) -> str | None:
        variable = self.scope.variables.get(name)
        return variable.text if variable is not None else None

    def env_files(self) -> list[str]:
        """The paths of its environment files, the weakest first."""
        found: list[str] = []
        for layer, node in self._list("env_file"):
            inner = node.get("path") if isinstance(node, Fields) else node
            text = self._said((layer, inner)) if inner is not None else None
            if text:
                found.append(_below(layer.folder, text))
        return found

    def _depends_on(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for _, node in self._layers("depends_on"):
            if isinstance(node, Fields):
                found |= dict.fromkeys(node.names)
            elif isinstance(node, Items):
                found |= dict.fromkeys(item.text for item in node.items if isinstance(item, Scalar))
        return tuple(found)

    def _build_option(self, key: str) -> str | None:
        """An entry of the long form of `build`, of the topmost layer that has it."""
        for layer, node in self._layers("build"):
            value = node.get(key) if isinstance(node, Fields) else None
            if value is not None:
                return self._said((layer, value))
        return None

    def _build(self) -> str | None:
        """The folder or the Dockerfile; "*" where it is not known, or nothing of this tree."""
        for layer, node in self._layers("build"):
            context: str | None = "."
            if isinstance(node, Scalar):
                context = self._said((layer, node))
            elif isinstance(node, Fields):
                if node.get("dockerfile_inline") is not None:
                    return "*"
                written = node.get("context")
                context = self._said((layer, written)) if written is not None else "."
            if context is None or "://" in context or context.startswith(("git@", "github.com/")):
                return "*"
            folder = _below(layer.folder, context)
            dockerfile = self._build_option("dockerfile")
            return folder if dockerfile is None else _below(folder, dockerfile)
        return None

    def _ports(self) -> tuple[list[int], list[int]]:
        """Of the container: those published on the host, and those only opened to its neighbours."""
        published: list[int] = []
        for layer, node in self._list("ports"):
            target = node.get("target") if isinstance(node, Fields) else node
            if isinstance(target, Scalar):
                # The host's side may be anything.
                published += _ports_of(interpolated(layer.source, target, self.scope.variables).pattern)
        opened = [port for at in self._list("expose") for port in _ports_of(self._said(at) or "")]
        return published, opened

    def _mounts(self) -> tuple[tuple[str, str], ...]:
        found: dict[str, str] = {}
        for layer, node in self._list("volumes"):
            if isinstance(node, Fields):
                written = node.get("source"), node.get("target")
                if node.text("type") not in (None, "bind"):
                    continue
                source, target = (self._said((layer, one)) if one is not None else None for one in written)
            else:
                source, _, rest = (self._said((layer, node)) or "").partition(":")
                target = rest.partition(":")[0]
            # A source without a slash is a named volume; one outside of the tree is the host's.
            if source and target and source.startswith("."):
                found[_place(target)] = _below(layer.folder, source)
        for layer, node in self._list("configs"):
            named = node.get("source") if isinstance(node, Fields) else node
            at = node.get("target") if isinstance(node, Fields) else None
            config = (self._said((layer, named)) if named is not None else None) or ""
            if config in self.scope.configs:
                target = self._said((layer, at)) if at is not None else None
                found[_place(target or config)] = self.scope.configs[config]
        return tuple((source, target) for target, source in found.items())

    def _aliases(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for key in ("container_name", "hostname"):
            if (text := self._plain(key)) is not None:
                found[text] = None
        for _, node in self._layers("networks"):
            for name in node.names if isinstance(node, Fields) else ():
                network = node.get(name) if isinstance(node, Fields) else None
                if isinstance(network, Fields):
                    aliases = network.items("aliases")
                    found |= dict.fromkeys(one.text for one in aliases if isinstance(one, Scalar))
        return tuple(found)

    def _loopback(self) -> str:
        mode = self._plain("network_mode") or ""
        if mode.startswith("service:"):
            return f"service {mode.removeprefix('service:')}"
        return "the host" if mode == "host" else f"service {self.name}"


def _below(folder: str, path: str) -> str:
    return os.path.normpath(os.path.join(folder, path))


def _place(target: str) -> str:
    """A place in the container, absolute."""
    trailing = "/" if target.endswith("/") else ""
    return posixpath.normpath(posixpath.join("/", target)) + trailing


def _ports_of(text: str) -> list[int]:
    """The container's side of `8000`, `8080:80`, `127.0.0.1:8080:80/tcp`, `3000-3005`; none for UDP."""
    match = _PORT.fullmatch(text.strip())
    if match is None:
        return []
    first, last = int(match[1]), int(match[2] or match[1])
    return list(range(first, min(last, first + _MOST_PORTS, 65535) + 1))
