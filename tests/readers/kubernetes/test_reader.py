"""Which files are manifests, how documents become a unit, and what any bytes may do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.kubernetes.support import deployment, read
from tests.readers.sites import assert_spans_fit, written

from keepalign.errors import ReadError
from keepalign.model.source import Site, SourceText
from keepalign.readers.kubernetes import documents_of, read_manifests, recognise
from keepalign.readers.tree import read_tree

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


@pytest.mark.parametrize(
    ("path", "head", "mine"),
    [
        ("k8s/web.yaml", b"apiVersion: v1\nkind: Service\n", True),
        ("k8s/web.yml", b"# a comment\n---\nkind: Service\r\napiVersion: v1\r\n", True),
        ("web.json", b'{"kind": "Service", "apiVersion": "v1"}', False),
        ("web.json", b'{\n  "kind": "Service",\n  "apiVersion": "v1"}', True),
        ("compose.yaml", b"services:\n  web:\n    image: x\n", False),
        ("web.yaml", b"Resources:\n  A:\n    apiVersion: v1\n", False),
        ("web.tf", b"apiVersion: v1\nkind: Service\n", False),
    ],
)
def test_manifest_is_known_by_its_first_bytes(path: str, head: bytes, mine: bool) -> None:
    assert recognise(path, head) is mine


def test_list_is_taken_apart() -> None:
    _, fragment = read("""
        apiVersion: v1
        kind: List
        items:
          - apiVersion: v1
            kind: Service
            metadata: {name: a}
            spec: {ports: [{port: 80}]}
          - apiVersion: v1
            kind: Service
            metadata: {name: b, namespace: shop}
            spec: {ports: [{port: 80}]}
    """)
    assert [(one.name, one.namespace) for one in fragment.services] == [("a", ""), ("b", "shop")]


def test_json_is_read_as_well() -> None:
    _, fragment = read('{\n"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},\n'
                       '"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}')  # fmt: skip
    assert [one.name for one in fragment.services] == ["a"]


def test_folders_are_units(tmp_path: Path) -> None:
    for folder in ("dev", "prod"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "web.yaml").write_text(deployment(f"image: web:{folder}"))
        (tmp_path / folder / "service.yaml").write_text(SERVICE)
    found = read_tree([str(tmp_path)]).kubernetes
    assert [(Path(one.file).name, len(one.pods), len(one.services)) for one in found] == [
        ("dev", 1, 1), ("prod", 1, 1),
    ]  # fmt: skip


def test_config_map_of_another_folder_counts_where_it_is_the_only_one(tmp_path: Path) -> None:
    manifest = deployment("image: x\nenvFrom: [{configMapRef: {name: settings}}]")
    config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {PORT: '80'}\n"
    for name in ("app", "config", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "app/web.yaml").write_text(manifest)
    (tmp_path / "config/map.yaml").write_text(config_map)

    def environment() -> object:
        (pods,) = (pods for one in read_tree([str(tmp_path)]).kubernetes for pods in one.pods)
        return pods.containers[0].container.environment

    assert environment() == {"PORT": "80"}
    (tmp_path / "other/map.yaml").write_text(config_map)
    assert environment() == {}


def test_templates_of_a_chart_are_one_note(tmp_path: Path) -> None:
    templates = tmp_path / "chart/templates"
    templates.mkdir(parents=True)
    for number in range(3):
        text = f"{{{{- if .Values.on }}}}\n{SERVICE}  x: {{{{ .Values.x }}}}\n{{{{- end }}}}\n"
        (templates / f"{number}.yaml").write_text(text)
    tree = read_tree([str(tmp_path)])
    (note,) = tree.notes
    assert "chart: 3 files are templates" in note.text
    assert "helm template" in note.text


def test_broken_manifest_is_a_note_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE + "  - x: [\n")
    (tmp_path / "b.yaml").write_text(SERVICE)
    tree = read_tree([str(tmp_path)])
    (note,) = tree.notes
    assert "a.yaml:5:" in note.text
    assert [len(one.services) for one in tree.kubernetes] == [1]


def test_kinds_that_do_not_matter_are_not_parsed(tmp_path: Path) -> None:
    """A tree holds far more definitions and dashboards than Ingresses."""
    (tmp_path / "crd.yaml").write_text("apiVersion: v1\nkind: CustomResourceDefinition\nspec: [\n")
    tree = read_tree([str(tmp_path)])
    assert (tree.kubernetes, tree.notes, dict(tree.sources)) == ((), (), {})


def test_hundreds_of_manifests_are_read_in_seconds(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.yaml").write_text(
            deployment("image: x\nargs: [a]").replace("web", f"w{number}")
        )
    begin = time.process_time()
    (fragment,) = read_tree([str(tmp_path)]).kubernetes
    assert len(fragment.pods) == 300
    assert time.process_time() - begin < 10


SNIPPETS = st.sampled_from([
    "apiVersion: v1\n", "kind: Deployment\n", "kind: Ingress\n", "kind: Service\n", "kind: ConfigMap\n",
    "metadata: {name: a}\n", "metadata:\n  name: a\n  annotations:\n", "spec:\n", "  template:\n", "---\n",
    "    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=6\n",
    "    metadata: {labels: {a: b}}\n    spec:\n", "      containers:\n", "        - name: a\n", "data:\n",
    "          command: [sh, -c, 'x $(A)']\n",
    "          lifecycle: {preStop: {exec: {command: [sleep, '5']}}}\n",
    "  rules: [{http: {paths: [{backend: {service: {name: a}}}]}}]\n", "  a.conf: |\n    x\n",
    "  ports: [1]\n",
    "items: [1, {kind: List}]\n", "{{ x }}\n", "  selector: &a {a: *a}\n", "\r\n", "\t", ": ", "- ", "|", "é",
])  # fmt: skip


@given(st.one_of(st.lists(SNIPPETS, max_size=25).map(lambda parts: "".join(parts).encode()), st.binary()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    source = SourceText("a.yaml", data)
    refused: ReadError | None = None
    try:
        assert_spans_fit(source, read_manifests(documents_of(source), "a"))
    except ReadError as error:
        refused = error
    assert refused is None or refused.line is not None


WHOLE = (
    deployment(
        "image: x\nargs:\n  - gunicorn\nlifecycle:\n  preStop:\n    exec: {command: [sleep, '5']}",
        spec="terminationGracePeriodSeconds: 40\nvolumes: [{name: c, configMap: {name: c}}]",
    )
    + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a.conf: |\n    listen 80;\n"
    + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n"
    + "    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=60,a=b\n"
    + '    nginx.ingress.kubernetes.io/proxy-read-timeout: "60"\nspec:\n  rules: []\n'
).encode()
CUT = st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 12), st.one_of(SNIPPETS, st.text(max_size=3)))


def sites_in(thing: object) -> Iterator[Site]:
    if isinstance(thing, Site):
        yield thing
    elif isinstance(thing, tuple):
        for part in thing:
            yield from sites_in(part)
    elif isinstance(thing, dict):
        yield from sites_in(tuple(thing.values()))
    elif is_dataclass(thing) and not isinstance(thing, type):
        for one in fields(thing):
            yield from sites_in(getattr(thing, one.name))


@given(st.lists(CUT, max_size=3))
def test_what_is_written_into_a_manifest_leaves_it_readable(cuts: list[tuple[int, int, str]]) -> None:
    """Also into one that somebody has damaged, as long as it can be read at all."""
    data = WHOLE
    for at, length, text in cuts:
        data = data[:at] + text.encode() + data[at + length :]
    source = SourceText("a.yaml", data)
    try:
        fragment = read_manifests(documents_of(source), "a")
    except ReadError:
        return
    assert_spans_fit(source, fragment)
    for site in dict.fromkeys(sites_in((fragment.pods, fragment.ingresses, fragment.services))):
        documents = documents_of(written(source, site, 77))
        assert len(documents) == len(documents_of(source))
