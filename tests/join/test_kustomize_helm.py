"""Overlays and charts as request paths: each judged alone, edits in the overlay or in values.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from tests.join.manifests import ALB, IP, deployment, findings, ingress, life, mended, seconds, service
from tests.join.trees import told, written

from keepalign.join import Loaded, load_stack
from keepalign.model.path import RequestPath
from keepalign.model.timers import Role

RACE = "backend-keepalive-below-lb-idle"

OVERLAYS = {
    "k8s/base/kustomization.yaml": """
        resources:
          - all.yaml
    """,
    "k8s/base/all.yaml": ingress(annotations=IP) + service() + deployment(),
    "k8s/overlays/dev/kustomization.yaml": """
        resources:
          - ../../base
        nameSuffix: -dev
    """,
    "k8s/overlays/prod/kustomization.yaml": """
        resources:
          - ../../base
        namePrefix: prod-
        patches:
          - path: web.yaml
          - target:
              kind: Ingress
            patch: |-
              - op: add
                path: /metadata/annotations/alb.ingress.kubernetes.io~1load-balancer-attributes
                value: idle_timeout.timeout_seconds=120
    """,
    "k8s/overlays/prod/web.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
        spec:
          template:
            spec:
              terminationGracePeriodSeconds: 60
              containers:
                - name: web
                  env:
                    - name: MODE
                      value: prod
    """,
}

# As `helm create` writes them, and with what public charts add.
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\nappVersion: '1.16.0'\n",
    "chart/values.yaml": f"""
        replicaCount: 2
        image:
          repository: registry/web
          tag: ""
        keepAlive: 5
        terminationGracePeriodSeconds: 30
        service:
          type: ClusterIP
          port: 80
        ingress:
          enabled: true
          className: alb
          annotations:
            {IP}
            {ALB}load-balancer-attributes: idle_timeout.timeout_seconds=60
          hosts:
            - host: chart-example.local
              paths:
                - path: /
                  pathType: ImplementationSpecific
    """,
    "chart/templates/_helpers.tpl": """
        {{- define "web.selectorLabels" -}}
        app.kubernetes.io/name: {{ .Chart.Name }}
        app.kubernetes.io/instance: {{ .Release.Name }}
        {{- end }}
    """,
    "chart/templates/web.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {{ .Release.Name }}
        spec:
          replicas: {{ .Values.replicaCount }}
          template:
            metadata:
              labels:
                {{- include "web.selectorLabels" . | nindent 8 }}
            spec:
              terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
              containers:
                - name: {{ .Chart.Name }}
                  image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
                  command: ["gunicorn", "-k", "gthread", "--bind", ":8000"]
                  args: ["--keep-alive", "{{ .Values.keepAlive }}", "app:app"]
                  ports:
                    - name: http
                      containerPort: 8000
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: {{ .Release.Name }}
        spec:
          type: {{ .Values.service.type }}
          ports:
            - port: {{ .Values.service.port }}
              targetPort: http
              protocol: TCP
              name: http
          selector:
            {{- include "web.selectorLabels" . | nindent 4 }}
        ---
        {{- if .Values.ingress.enabled }}
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: {{ .Release.Name }}
          {{- with .Values.ingress.annotations }}
          annotations:
            {{- toYaml . | nindent 4 }}
          {{- end }}
        spec:
          ingressClassName: {{ .Values.ingress.className }}
          rules:
            {{- range .Values.ingress.hosts }}
            - host: {{ .host | quote }}
              http:
                paths:
                  {{- range .paths }}
                  - path: {{ .path }}
                    pathType: {{ .pathType }}
                    backend:
                      service:
                        name: {{ $.Release.Name }}
                        port:
                          number: {{ $.Values.service.port }}
                  {{- end }}
            {{- end }}
        {{- end }}
    """,
}


def loaded(folder: Path, files: Mapping[str, str]) -> Loaded:
    return load_stack([written(folder, {name: dedent(text).lstrip("\n") for name, text in files.items()})])


def path_of(stack: Loaded, label: str) -> RequestPath:
    (path,) = [one for one in stack.stack.paths if label in one.name]
    return path


def idle(path: RequestPath) -> float:
    return seconds(path.hops[0].settings[Role.UPSTREAM_POOL_IDLE])


def changed_files(folder: Path, stack: Loaded) -> dict[str, str]:
    """What `fix` writes, by name below the folder; a diff of nothing else."""
    return {str(Path(file).relative_to(folder)): data.decode() for file, data in mended(stack).items()}


def patched(keep: str) -> dict[str, str]:
    """The production overlay, with a command line of its own."""
    line = f'command: ["gunicorn", "-k", "gthread", "--bind", ":8000", "--keep-alive", "{keep}", "app:app"]'
    env = " " * 18 + "env:"
    patch = OVERLAYS["k8s/overlays/prod/web.yaml"].replace(env, f"{' ' * 18}{line}\n{env}")
    files = OVERLAYS | {"k8s/overlays/prod/web.yaml": patch}
    return {name: text for name, text in files.items() if "/dev/" not in name}


def test_each_overlay_is_a_path_and_the_base_is_none(tmp_path: Path) -> None:
    stack = loaded(tmp_path, OVERLAYS)

    assert sorted(path.hops[0].name for path in stack.stack.paths) == ["ingress/prod-web", "ingress/web-dev"]
    assert idle(path_of(stack, "prod")) == 120
    assert idle(path_of(stack, "dev")) == 60
    assert seconds(life(path_of(stack, "prod")).stops[0].stop_timeout) == 60
    assert not told(stack.stack.unjoined)


def test_base_alone_is_judged_where_no_overlay_uses_it(tmp_path: Path) -> None:
    base = {name: text for name, text in OVERLAYS.items() if "/base/" in name}
    assert [path.hops[0].name for path in loaded(tmp_path, base).stack.paths] == ["ingress/web"]


def test_overlay_without_its_base_says_what_is_missing(tmp_path: Path) -> None:
    only = {name: text for name, text in OVERLAYS.items() if "/prod/" in name}
    stack = loaded(tmp_path, only)
    assert not stack.stack.paths
    assert [one for one in stack.notes if "../../base is not in the given folders" in one.text]


@pytest.mark.parametrize(("keep", "found"), [("119", True), ("120", True), ("121", False)])
def test_limit_of_the_idle_ladder_counts_the_patched_balancer(tmp_path: Path, keep: str, found: bool) -> None:
    assert (RACE in findings(loaded(tmp_path, patched(keep)))) is found


def test_edit_of_a_patched_value_goes_into_the_overlay(tmp_path: Path) -> None:
    stack = loaded(tmp_path, patched("75"))
    assert RACE in findings(stack)

    changed = changed_files(tmp_path, stack)

    assert '"--keep-alive", "150"' in changed["k8s/overlays/prod/web.yaml"]
    assert RACE not in findings(stack.reread(mended(stack)))


def test_edit_of_what_the_base_says_goes_into_the_base_once(tmp_path: Path) -> None:
    stack = loaded(tmp_path, OVERLAYS)
    assert RACE in findings(stack)

    changed = changed_files(tmp_path, stack)

    assert changed["k8s/base/all.yaml"].count("--keep-alive") == 1
    again = stack.reread(mended(stack))
    assert RACE not in findings(again)
    assert len(again.stack.paths) == 2


def test_chart_is_a_path_with_each_file_of_values(tmp_path: Path) -> None:
    prod = f"ingress:\n  annotations:\n    {ALB}load-balancer-attributes: idle_timeout.timeout_seconds=300\n"
    stack = loaded(tmp_path, CHART | {"chart/values-prod.yaml": prod})

    assert sorted(idle(path) for path in stack.stack.paths) == [60, 300]
    assert RACE in findings(stack)


def test_edit_of_a_charts_value_goes_into_values_yaml(tmp_path: Path) -> None:
    stack = loaded(tmp_path, CHART)
    assert RACE in findings(stack)

    changed = changed_files(tmp_path, stack)

    assert "keepAlive: 90" in changed["chart/values.yaml"]
    assert RACE not in findings(stack.reread(mended(stack)))


@pytest.mark.parametrize(("keep", "found"), [("59", True), ("60", True), ("75", False)])
def test_limit_of_the_idle_ladder_counts_values(tmp_path: Path, keep: str, found: bool) -> None:
    values = CHART["chart/values.yaml"].replace("keepAlive: 5", f"keepAlive: {keep}")
    assert (RACE in findings(loaded(tmp_path, CHART | {"chart/values.yaml": values}))) is found


def test_value_that_is_made_while_rendering_is_unknown_and_never_a_finding(tmp_path: Path) -> None:
    template = CHART["chart/templates/web.yaml"].replace(".Values.keepAlive", "randNumeric 2")
    stack = loaded(tmp_path, CHART | {"chart/templates/web.yaml": template})

    assert RACE not in findings(stack)
    assert [one for one in stack.notes if "the function randNumeric" in one.text]


def test_chart_whose_templates_are_broken_is_noted(tmp_path: Path) -> None:
    stack = loaded(
        tmp_path, CHART | {"chart/templates/web.yaml": "{{ if }}\nkind: Service\napiVersion: v1\n"}
    )
    assert not stack.stack.paths
    assert [one for one in stack.notes if "is no template" in one.text]
