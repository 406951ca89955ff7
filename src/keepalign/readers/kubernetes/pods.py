"""Pod templates: containers, their environment, mounts, hooks and probes."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Final

from keepalign.model.source import SourceText, Span
from keepalign.readers._aws import Container, Mount
from keepalign.readers._reader import Absent, Read
from keepalign.readers._yaml import Fields, Node, Scalar
from keepalign.readers.kubernetes._commands import OPTION, command_line, pre_stop
from keepalign.readers.kubernetes._values import count, nested, seconds
from keepalign.readers.kubernetes.fragment import ConfigMap, PodContainer, Pods, Probe
from keepalign.readers.kubernetes.mounts import excerpt

KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Rollout", "Pod")
GRACE: Final = "terminationGracePeriodSeconds"
_INDENTED: Final = (".conf", ".template", ".cfg", ".toml", ".properties", ".xml")
"""Files whose readers do not mind blanks in front of a line."""
_CONFIGURATION: Final = (*_INDENTED, ".py", ".yaml", ".yml")


def read_pods(
    source: SourceText, node: Fields, kind: str, head: Mapping[str, str], place: Span, maps: ConfigMaps
) -> Pods | None:
    """A workload; None where the document is only a part of one: it has no containers, or no labels."""
    template = node if kind == "Pod" else node.fields("spec", "template")
    spec = template.fields("spec") if template is not None else None
    if template is None or spec is None:
        return None
    labels = texts(template.fields("metadata", "labels"))
    grace = seconds(source, spec, GRACE, GRACE, nested(source, spec, (), f"{GRACE}: {{value}}"))
    found = [
        _container(source, one, spec, grace, maps, sidecar=False)
        for one in spec.items("containers")
        if isinstance(one, Fields)
    ]
    found += [
        _container(source, one, spec, grace, maps, sidecar=True)
        for one in spec.items("initContainers")
        if isinstance(one, Fields) and one.text("restartPolicy") == "Always"
    ]
    if not found or (not labels and kind != "Pod"):
        return None
    strategy = node.fields("spec", "updateStrategy" if kind in ("StatefulSet", "DaemonSet") else "strategy")
    rolling = strategy
    words = strategy.text("type") or "" if strategy is not None else ""
    if kind == "Rollout" and strategy is not None:
        words = next((name for name in ("canary", "blueGreen") if strategy.get(name) is not None), "")
        rolling = strategy.fields(words) if words else None
    elif strategy is not None:
        rolling = strategy.fields("rollingUpdate")
    return Pods(
        kind=kind,
        name=head["name"],
        namespace=head["namespace"],
        place=place,
        labels=labels,
        containers=tuple(found),
        replicas=count(node.fields("spec"), "replicas"),
        strategy=words,
        max_surge=rolling.text("maxSurge") if rolling is not None else None,
        max_unavailable=rolling.text("maxUnavailable") if rolling is not None else None,
    )


class ConfigMaps:
    """The ConfigMaps of a unit, by name."""

    def __init__(self, found: Mapping[str, ConfigMap]) -> None:
        self._found = found

    def get(self, name: str | None) -> ConfigMap | None:
        """None where the unit holds none of this name."""
        return self._found.get(name or "")


def texts(fields: Fields | None) -> dict[str, str]:
    """A mapping of texts, such as labels."""
    if fields is None:
        return {}
    found = {name: fields.text(name) for name in fields.names}
    return {name: text for name, text in found.items() if text is not None}


def _container(
    source: SourceText, node: Fields, spec: Fields, grace: Read, maps: ConfigMaps, *, sidecar: bool
) -> PodContainer:
    name = node.scalar("name")
    image = node.scalar("image")
    environment, written = _environment(node, maps)
    ports: list[int] = []
    names: dict[str, int] = {}
    for one in node.items("ports"):
        number = one.whole("containerPort") if isinstance(one, Fields) else None
        if number is not None and isinstance(one, Fields):
            ports.append(number)
            if (called := one.text("name")) is not None:
                names[called] = number
    hook = node.fields("lifecycle", "preStop")
    lasts: Read = Absent(OPTION, nested(source, node, ("lifecycle", "preStop", "sleep"), "seconds: {value}"))
    if hook is not None:
        lasts = pre_stop(source, hook)
    return PodContainer(
        container=Container(
            name=name.text if name is not None else "*",
            place=name.span if name is not None else node.span,
            image=_image(image),
            image_span=image.span if image is not None else None,
            command=command_line(source, node.get("args"), environment, written),
            entry_point=command_line(source, node.get("command"), environment, written),
            stop_timeout=grace,
            ports=tuple(ports),
            environment=environment,
            volumes=_mounts(node, spec, maps),
        ),
        port_names=names,
        pre_stop=lasts,
        readiness=_probe(source, node, "readinessProbe"),
        liveness=_probe(source, node, "livenessProbe"),
        startup=_probe(source, node, "startupProbe"),
        sidecar=sidecar,
    )


def _image(image: Scalar | None) -> str | None:
    """With "*" where a template or a variable is to be put in."""
    if image is None:
        return None
    text = image.text
    for opening, closing in (("{{", "}}"), ("${", "}"), ("$(", ")"), ("<", ">")):
        while (start := text.find(opening)) != -1:
            end = text.find(closing, start)
            text = text[:start] + "*" + (text[end + len(closing) :] if end != -1 else "")
    return text


def _environment(node: Fields, maps: ConfigMaps) -> tuple[dict[str, str | None], dict[str, Span]]:
    """Name to text, None for one that is not in the manifests; and where each is written."""
    found: dict[str, str | None] = {}
    written: dict[str, Span] = {}
    for one in node.items("envFrom"):
        config_map = maps.get(one.text("configMapRef", "name")) if isinstance(one, Fields) else None
        if config_map is not None and isinstance(one, Fields):
            prefix = one.text("prefix") or ""
            found |= {f"{prefix}{key}": scalar.text for key, scalar in config_map.data.items()}
            written |= {f"{prefix}{key}": scalar.span for key, scalar in config_map.data.items()}
    for one in node.items("env"):
        name = one.text("name") if isinstance(one, Fields) else None
        if name is None or not isinstance(one, Fields):
            continue
        value: Scalar | None = one.scalar("value")
        if value is None and one.get("valueFrom") is not None:
            config_map = maps.get(one.text("valueFrom", "configMapKeyRef", "name"))
            key = one.text("valueFrom", "configMapKeyRef", "key")
            value = config_map.data.get(key) if config_map is not None and key is not None else None
            found[name] = value.text if value is not None else None
        else:
            found[name] = "" if value is None else value.text
        if value is not None:
            written[name] = value.span
            if "{{" in value.text or "$(" in value.text:
                found[name] = None
    return found, written


def _mounts(node: Fields, spec: Fields, maps: ConfigMaps) -> tuple[Mount, ...]:
    """The mounted ConfigMaps; other volumes hold nothing that a manifest says."""
    volumes = {one.text("name"): one for one in spec.items("volumes") if isinstance(one, Fields)}
    found: list[Mount] = []
    for one in node.items("volumeMounts"):
        path = one.text("mountPath") if isinstance(one, Fields) else None
        volume = volumes.get(one.text("name")) if isinstance(one, Fields) else None
        if path is None or volume is None or not isinstance(one, Fields):
            continue
        held = [volume.fields("configMap")] if volume.get("configMap") is not None else []
        held += [
            part.fields("configMap")
            for part in volume.items("projected", "sources")
            if isinstance(part, Fields) and part.get("configMap") is not None
        ]
        target = path.rstrip("/") or "/"
        found += [_mount(target, one, fields, maps) for fields in held if fields is not None]
    return tuple(found)


def _mount(path: str, mount: Fields, volume: Fields, maps: ConfigMaps) -> Mount:
    name = volume.text("name") or ""
    config_map = maps.get(name)
    place = mount.span
    sub_path = (mount.text("subPath") or "").strip("/")
    if config_map is None:
        missing = f"ConfigMap {name}, which is mounted at {path}, is not in the given folders"
        return Mount(path, not sub_path, {}, name, place, missing)
    items = [one for one in volume.items("items") if isinstance(one, Fields)]
    keys = {one.text("path") or "": one.text("key") or "" for one in items} or {k: k for k in config_map.data}
    files: dict[str, SourceText] = {}
    for below, key in keys.items():
        scalar = config_map.data.get(key)
        if scalar is None:
            continue
        if sub_path and sub_path != below:
            continue
        target = path if sub_path else posixpath.join(path, below)
        if target.endswith(_CONFIGURATION):
            indented = target.endswith(_INDENTED)
            files[target] = excerpt(config_map.source, key, scalar, indented=indented)
    return Mount(path, not sub_path, files, name, place)


def _probe(source: SourceText, node: Fields, name: str) -> Probe | None:
    fields = node.fields(name)
    if fields is None:
        return None
    found: Fields = fields

    def read(field: str) -> Read:
        site = nested(source, found, (), f"{field}: {{value}}")
        return seconds(source, found, field, f"{name}.{field}", site)

    return Probe(
        path=fields.text("httpGet", "path"),
        initial_delay=read("initialDelaySeconds"),
        period=read("periodSeconds"),
        timeout=read("timeoutSeconds"),
        failure_threshold=count(fields, "failureThreshold"),
        success_threshold=count(fields, "successThreshold"),
        place=fields.span,
    )


def reference(node: Node | None) -> int | str | None:
    """A port by number or by name."""
    if not isinstance(node, Scalar) or node.value is None:
        return None
    return int(node.text) if node.text.isascii() and node.text.isdigit() and len(node.text) < 6 else node.text
