"""Charts: what their templates render to, and where each value of it is written."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.kubernetes.support import seconds

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import Edit, SourceText, edited
from keepalign.readers._yaml import Fields, plain_data, read_documents
from keepalign.readers.kubernetes import KubernetesFragment, read_manifests
from keepalign.readers.kubernetes.fragment import Pods
from keepalign.readers.kubernetes.helm import Charts, read_charts
from keepalign.readers.kubernetes.helm.functions import semver
from keepalign.readers.kubernetes.helm.program import rendered
from keepalign.readers.kubernetes.helm.syntax import parse
from keepalign.readers.kubernetes.reader import matters

CHART = "apiVersion: v2\nname: shop\nversion: 0.1.0\nappVersion: '1.16'\n"

HELPERS = """
    {{/*
    Expand the name of the chart.
    */}}
    {{- define "shop.fullname" -}}
    {{- if .Values.fullnameOverride }}
    {{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
    {{- else }}
    {{- $name := default .Chart.Name .Values.nameOverride }}
    {{- if contains $name .Release.Name }}
    {{- .Release.Name | trunc 63 | trimSuffix "-" }}
    {{- else }}
    {{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- define "shop.labels" -}}
    app.kubernetes.io/name: {{ include "shop.fullname" . }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    {{- end }}
"""

DEPLOYMENT = """
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: {{ include "shop.fullname" . }}
    spec:
      {{- if not .Values.autoscaling.enabled }}
      replicas: {{ .Values.replicaCount }}
      {{- end }}
      template:
        metadata:
          {{- with .Values.podAnnotations }}
          annotations:
            {{- toYaml . | nindent 8 }}
          {{- end }}
          labels:
            {{- include "shop.labels" . | nindent 8 }}
        spec:
          terminationGracePeriodSeconds: {{ .Values.grace | default 30 }}
          containers:
            - name: {{ .Chart.Name }}
              image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
              args: {{- toYaml .Values.args | nindent 12 }}
              env:
                {{- range $key, $value := .Values.env }}
                - name: {{ $key | upper }}
                  value: {{ $value | quote }}
                {{- end }}
              ports:
                - name: http
                  containerPort: {{ .Values.service.targetPort }}
              lifecycle:
                preStop:
                  exec:
                    command: ["sleep", "{{ .Values.preStop }}"]
"""

VALUES = """
    replicaCount: 2
    grace: 45
    preStop: 5
    image:
      repository: registry.example.com/shop
      tag: ""
    args:
      - gunicorn
      - --keep-alive
      - "75"
    env:
      web_timeout: 60
      mode: plain
    service: {targetPort: 8000}
    autoscaling:
      enabled: false
    podAnnotations: {}
"""


def chart(**files: str) -> dict[str, str]:
    """A chart; files by their paths, with "__" for a slash and "_" for a dot at the end."""
    return {
        "shop/Chart.yaml": CHART, "shop/values.yaml": VALUES, "shop/templates/_helpers.tpl": HELPERS,
        "shop/templates/deployment.yaml": DEPLOYMENT, **files,
    }  # fmt: skip


def tree(files: Mapping[str, str]) -> dict[str, SourceText]:
    return {name: SourceText(name, dedent(text).lstrip("\n").encode()) for name, text in files.items()}


def charts(files: Mapping[str, str]) -> Charts:
    sources = tree(files)
    return read_charts(frozenset(sources), sources.__getitem__, matters)


def fragments(files: Mapping[str, str]) -> dict[str, KubernetesFragment]:
    return {one.unit: read_manifests(one.documents, one.unit) for one in charts(files).releases}


def the_pods(files: Mapping[str, str], unit: str = "shop") -> Pods:
    (one,) = fragments(files)[unit].pods
    return one


def printed(template: str, values: str = "", *, chart_files: Mapping[str, str] | None = None) -> object:
    """What `template` makes of the one field `data.it` of a ConfigMap."""
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  it: {template}\n"
    files = {"shop/Chart.yaml": CHART, "shop/values.yaml": values, "shop/templates/x.yaml": text}
    (release,) = charts({**files, **(chart_files or {})}).releases
    (document,) = release.documents
    return plain_data(document.node.get("data", "it"))


def test_chart_renders_as_helm_does() -> None:
    (release,) = charts(chart()).releases
    (document,) = release.documents
    labels = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": "shop"}

    assert plain_data(document.node) == {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": labels}, "spec": {
            "terminationGracePeriodSeconds": 45,
            "containers": [{
                "name": "shop", "image": "registry.example.com/shop:1.16",
                "args": ["gunicorn", "--keep-alive", "75"],
                "env": [{"name": "MODE", "value": "plain"}, {"name": "WEB_TIMEOUT", "value": "60"}],
                "ports": [{"name": "http", "containerPort": 8000}],
                "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
            }],
        }}},
    }  # fmt: skip


def test_value_is_edited_in_values_yaml_and_its_origin_leads_there() -> None:
    files = chart()
    grace = the_pods(files).containers[0].container.stop_timeout

    assert isinstance(grace, Explicit)
    assert [step.span.place for step in grace.origin.steps] == [
        "shop/templates/deployment.yaml:18:38", "shop/values.yaml:2:8",
    ]  # fmt: skip
    assert grace.site is not None
    changed = edited(tree(files)["shop/values.yaml"].data, [Edit(grace.site.span, "90")]).decode()
    assert (
        seconds(the_pods(chart() | {"shop/values.yaml": changed}).containers[0].container.stop_timeout) == 90
    )


def test_value_inside_quotes_of_the_template_is_edited_in_values_yaml() -> None:
    hook = the_pods(chart()).containers[0].pre_stop

    assert isinstance(hook, Explicit)
    assert hook.site is not None
    assert hook.site.span.place == "shop/values.yaml:3:10"


def test_list_that_is_written_out_keeps_its_places() -> None:
    line = the_pods(chart()).containers[0].container.command

    assert line is not None
    assert [word.text for word in line.words] == ["gunicorn", "--keep-alive", "75"]
    spans = [word.value_span.place for word in line.words if word.value_span is not None]
    assert spans == ["shop/values.yaml:8:5", "shop/values.yaml:9:5", "shop/values.yaml:10:6"]
    assert line.append_at is not None
    assert line.append_at.file == "shop/values.yaml"


def test_missing_field_is_written_into_the_template() -> None:
    files = chart() | {
        "shop/templates/deployment.yaml": DEPLOYMENT.replace(
            "          terminationGracePeriodSeconds: {{ .Values.grace | default 30 }}\n", ""
        )
    }
    read = the_pods(files).containers[0].container.stop_timeout
    assert read.site is not None
    template = tree(files)[read.site.span.file]
    text = read.site.template.replace("{value}", "75")

    files[read.site.span.file] = edited(template.data, [Edit(read.site.span, text)]).decode()

    assert read.site.span.file == "shop/templates/deployment.yaml"
    assert seconds(the_pods(files).containers[0].container.stop_timeout) == 75


@pytest.mark.parametrize(
    "file",
    ["values-prod.yaml", "values.prod.yaml", "values/prod.yaml", "prod/values.yaml", "values_prod.yml"],
)
def test_further_file_of_values_is_a_unit_of_its_own(file: str) -> None:
    files = chart() | {f"shop/{file}": "grace: 120\nimage: {tag: '2.0'}\n"}
    found = fragments(files)

    assert set(found) == {"shop", f"shop/{file}"}
    container = the_pods(files, f"shop/{file}").containers[0].container
    assert container.image == "registry.example.com/shop:2.0"
    assert isinstance(container.stop_timeout, Explicit)
    assert container.stop_timeout.site is not None
    assert container.stop_timeout.site.span.file == f"shop/{file}"
    assert seconds(the_pods(files).containers[0].container.stop_timeout) == 45


def test_sub_chart_gets_its_part_of_the_values() -> None:
    described = (
        f"{CHART}dependencies:\n  - {{name: web, alias: front, condition: front.enabled}}\n  - name: redis\n"
    )
    files = {
        "shop/Chart.yaml": described, "shop/values.yaml": "front: {grace: 70}\nglobal: {tag: '9'}\n",
        "shop/charts/web/Chart.yaml": "name: web\nversion: 1.0.0\n",
        "shop/charts/web/values.yaml": "grace: 30\nname: inner\n",
        "shop/charts/web/templates/pod.yaml": """
            apiVersion: v1
            kind: Pod
            metadata: {name: {{ .Values.name }}}
            spec:
              terminationGracePeriodSeconds: {{ .Values.grace }}
              containers: [{name: a, image: "a:{{ .Values.global.tag }}"}]
        """,
    }  # fmt: skip
    container = the_pods(files).containers[0].container

    assert seconds(container.stop_timeout) == 70
    assert container.image == "a:9"
    assert ["redis is not unpacked" in one.text for one in charts(files).notes] == [True]
    off = files | {"shop/values.yaml": "front: {enabled: false}\n"}
    assert not charts(off).releases


@pytest.mark.parametrize(
    ("template", "values", "result"),
    [
        ("{{ .Values.a.b }}", "a: {b: x}", "x"),
        ("{{ .Values.a.b.c | quote }}", "a: {}", ""),
        ("{{ .Values.n }}", "n: 5", 5),
        ("{{ .Values.n | quote }}", "n: 5", "5"),
        ("{{ squote .Values.n }}", "n: 5", "5"),
        ("{{ if eq .Values.kind \"alb\" }}yes{{ else }}no{{ end }}", "kind: alb", True),
        ("{{ if and .Values.a (not .Values.b) }}x{{ end }}", "a: 1\nb: false", "x"),
        ("{{ if .Values.a }}a{{ else if .Values.b }}b{{ else }}c{{ end }}", "b: 1", "b"),
        ("{{ ternary \"x\" \"y\" .Values.on }}", "on: true", "x"),
        ("{{ printf \"%s:%d\" .Values.h (int .Values.p) }}", "h: web\np: 80", "web:80"),
        ("{{ $x := .Values.a }}{{ $x }}s", "a: 5", "5s"),
        ("{{ range $i, $e := .Values.l }}{{ $i }}{{ $e }}{{ end }}", "l: [x, y]", "0x1y"),
        ("{{ with .Values.a }}{{ .b }}{{ $.Values.c }}{{ end }}", "a: {b: 1}\nc: z", "1z"),
        ("{{ tpl .Values.t . }}", "t: 'v-{{ .Chart.Version }}'", "v-0.1.0"),
        ("{{ required \"give it\" .Values.a }}", "a: ok", "ok"),
        ("{{ .Values.a | default \"none\" | upper }}", "", "NONE"),
        ("{{ index .Values.l 1 }}", "l: [x, y]", "y"),
        ("{{ toYaml .Values.m | nindent 4 }}", "m: {a: 1}", {"a": 1}),
        ("{{ range until 3 }}{{ . }}{{ end }}", "", 12),
        ("{{ add 1 .Values.n }}", "n: 4", 5),
        ("{{ coalesce .Values.a .Values.b \"c\" }}", "b: q", "q"),
        ("{{ .Files.Get \"conf/app.txt\" | trim }}", "", "of a file"),
        ("{{ .Capabilities.APIVersions.Has \"networking.k8s.io/v1\" }}", "", True),
        ("{{ hasKey .Values \"a\" }}", "a: 1", True),
        ("{{ dig \"a\" \"b\" \"none\" .Values }}", "a: {}", "none"),
        (
            "{{ include (print $.Template.BasePath \"/_c.tpl\") . | sha256sum | trunc 12 }}", "",
            "e3b0c44298fc",
        ),
        ("{{ if hasKey .Values \"grace\" }}{{ .Values.grace }}{{ end }}", "grace: 0", 0),
        ("{{ .Values.grace.client | int }}", "grace: {client: 30}", 30),
        ("{{ with (dict \"root\" .Values \"n\" 5) }}{{ .root.image }}:{{ .n }}{{ end }}", "image: i", "i:5"),
        ("{{ include \"common.image\" (dict \"image\" .Values.image) }}", "image: {name: a, tag: 7}", "a:7"),
        ("{{ (index .Values.l 0).name }}", "l: [{name: n}]", "n"),
    ],
)  # fmt: skip
def test_action_prints_what_helm_prints(template: str, values: str, result: object) -> None:
    more = {
        "shop/conf/app.txt": "of a file\n",
        "shop/templates/_c.tpl": '{{ define "common.image" }}{{ .image.name }}:{{ .image.tag }}{{ end }}',
    }
    assert printed(template, values, chart_files=more) == result


@pytest.mark.parametrize(
    "action",
    [
        "randAlphaNum 5", "genCA \"x\" 5", ".Values.a | regexReplaceAll \"x\" \"y\"", "include \"gone\" .",
        "required \"give it\" .Values.a", ".Values.a.b \"c\"", "tpl \"{{ nothing\" .", ".Files.Get \"gone\"",
    ],
)  # fmt: skip
def test_action_that_is_not_followed_leaves_a_mark_and_a_note(action: str) -> None:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  it: {{{{ {action} }}}}\n"
    files = {"shop/Chart.yaml": CHART, "shop/templates/x.yaml": text}
    found = charts(files)

    (document,) = found.releases[0].documents
    assert plain_data(document.node.get("data", "it")) == f"{{{{ {action} }}}}"
    assert ["1 action is not followed" in one.text for one in found.notes] == [True]
    assert found.notes[0].span is not None
    assert found.notes[0].span.place == "shop/templates/x.yaml:5:7"


def test_time_that_is_not_known_is_unknown_with_its_reason() -> None:
    files = chart() | {
        "shop/templates/deployment.yaml": DEPLOYMENT.replace(".Values.grace | default 30", "randNumeric 2")
    }
    grace = the_pods(files).containers[0].container.stop_timeout

    assert isinstance(grace, Unknown)
    assert grace.reason == "it is written when the manifest is rendered"


def test_hooks_and_library_charts_are_no_part_of_a_stack() -> None:
    hook = """
        apiVersion: v1
        kind: Pod
        metadata: {name: t, annotations: {helm.sh/hook: test}}
        spec: {containers: [{name: a, image: a}]}
    """
    found = fragments(chart() | {"shop/templates/tests/t.yaml": hook})

    assert [one.name for one in found["shop"].pods] == ["shop"]
    assert not charts(chart() | {"shop/Chart.yaml": f"{CHART}type: library\n"}).releases


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}", "levels deep"),
        ("{{ range until 999 }}{{ range until 999 }}{{ range until 9 }}x{{ end }}{{ end }}{{ end }}", "more"),
        ("{{ $x := \"xxxxxxxx\" }}{{ range until 99 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}", "more"),
        ("{{ if }}", "is no template"),
        ("{{ end }}", "is no template"),
        ("{{ if true }}", "has no end"),
        ("{{ \"open }}", "is no template"),
        ("{{/* open", "is no template"),
        ("a: b: c: [", "what it renders to"),
    ],
)  # fmt: skip
def test_template_that_cannot_be_used_is_noted(template: str, told: str) -> None:
    started = time.process_time()
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n{template}\n"
    found = charts({"shop/Chart.yaml": CHART, "shop/templates/x.yaml": text})

    assert [one for one in found.notes if told in one.text], found.notes
    assert not found.releases
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [(">=1.19-0", True), ("<1.14-0", False), ("^1.20.0", True), (">=1.19, <1.25", False), ("1.x || 2", None)],
)
def test_version_constraint_is_read(constraint: str, fits: bool | None) -> None:
    assert semver(constraint, "v1.30.0") is fits


def test_files_of_a_chart_are_no_manifests_of_their_own() -> None:
    assert charts(chart()).used == set(chart())


# The helm program


def stand_in(folder: Path, script: str) -> None:
    program = folder / "helm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_helm_is_asked_with_a_copy_and_settings_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(
        tmp_path,
        'echo "args: $*" | tr "\\n" " "; echo; echo "home: $HELM_PLUGINS"; cat "$3/templates/a.yaml"',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HELM_PLUGINS", "/mine")

    found = rendered({"Chart.yaml": b"", "templates/a.yaml": b"of: the copy\n"}, "shop", ["values-prod.yaml"])

    assert found is not None
    said = yaml.safe_load(found)
    assert said["args"].startswith("template shop ")
    assert said["args"].rstrip().endswith("/chart/values-prod.yaml")
    assert "dependency" not in said["args"]
    assert said["home"] != "/mine"
    assert said["of"] == "the copy"


def test_helm_that_fails_or_is_not_there_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert rendered({}, "shop", []) is None
    stand_in(tmp_path, "exit 1")
    assert rendered({}, "shop", []) is None


def test_value_that_only_helm_knows_comes_from_helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = tmp_path / "answer.yaml"
    spec = {"terminationGracePeriodSeconds": 33, "containers": [{"name": "shop", "image": "x"}]}
    answer.write_text(yaml.safe_dump({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
        "spec": {"template": {"spec": spec}},
    }))  # fmt: skip
    stand_in(tmp_path, f"cat {answer}")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    files = chart() | {
        "shop/templates/deployment.yaml": DEPLOYMENT.replace(".Values.grace | default 30", "randNumeric 2")
    }

    container = the_pods(files).containers[0].container

    assert isinstance(container.stop_timeout, Explicit)
    assert seconds(container.stop_timeout) == 33
    assert container.stop_timeout.site is None
    assert container.image == "registry.example.com/shop:1.16"


# Bad input

_WORDS = st.sampled_from([
    "{{", "}}", "{{-", "-}}", "if", "end", "else", "range", "with", "define", '"a"', "include", ".Values",
    ".a", "$x", ":=", "|", "toYaml", "nindent", "4", "(", ")", "\n", " ", "key:", "- ", "`", "/*", "*/",
    "quote", "kind: ConfigMap", "apiVersion: v1", "metadata: {name: x}", "tpl", ".", "index", "printf",
    "é", '"%s"', "default", "\ue000", "Ωß", "upper", ".Release.Name", "merge",
])  # fmt: skip


@given(st.lists(_WORDS, max_size=30).map(" ".join), st.text(max_size=60), st.text(max_size=9))
def test_any_template_becomes_documents_or_notes(template: str, values: str, name: str) -> None:
    described = yaml.safe_dump({"name": f"x{name}", "version": "1"}, allow_unicode=True)
    more = {"shop/templates/x.yaml": template, "shop/values.yaml": values, "shop/Chart.yaml": described}
    for one in charts(chart() | more).releases:
        assert read_manifests(one.documents, one.unit).file == "shop"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_template_or_a_read_error(data: bytes) -> None:
    line: int | None = 1
    try:
        parse(SourceText("x.yaml", b"{{" + data))
    except ReadError as error:
        line = error.line
    assert line is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 99999) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
        ),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_any_value_survives_being_written_as_yaml(value: object, flow: bool) -> None:
    values = yaml.safe_dump({"v": value}, default_flow_style=flow, allow_unicode=True)
    (node,) = read_documents(SourceText("values.yaml", values.encode()))
    assert isinstance(node, Fields)
    wanted = plain_data(node.get("v"))

    (release,) = charts({
        "shop/Chart.yaml": CHART, "shop/values.yaml": values,
        "shop/templates/x.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nit:\n"
        "  {{- toYaml .Values.v | nindent 2 }}\n",
    }).releases  # fmt: skip

    assert plain_data(release.documents[0].node.get("it")) == wanted
