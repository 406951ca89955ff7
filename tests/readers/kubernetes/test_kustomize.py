"""Kustomizations against kubectl's own, and the places of what they build."""

from __future__ import annotations

import shutil
import subprocess
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
from keepalign.readers._yaml import plain_data
from keepalign.readers.kubernetes import KubernetesFragment, read_manifests
from keepalign.readers.kubernetes.fragment import Pods
from keepalign.readers.kubernetes.kustomize import Built, build, is_kustomization

BASE = {
    "base/kustomization.yaml": """
        apiVersion: kustomize.config.k8s.io/v1beta1
        kind: Kustomization
        resources:
          - deployment.yaml
          - rest.yaml
        generatorOptions:
          disableNameSuffixHash: true
        configMapGenerator:
          - name: web-env
            literals:
              - WEB_TIMEOUT=30
              - MODE="plain"
    """,
    "base/deployment.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
        spec:
          replicas: 1
          selector:
            matchLabels: {app: web}
          template:
            metadata:
              labels: {app: web}
            spec:
              terminationGracePeriodSeconds: 30
              containers:
                - name: web
                  image: registry.example.com/shop/web:1.0
                  env:
                    - name: MODE
                      value: plain
                    - name: OLD
                      value: "1"
                  envFrom:
                    - configMapRef: {name: web-env}
                  ports:
                    - containerPort: 8000
                      name: http
                - name: metrics
                  image: metrics:2
    """,
    "base/rest.yaml": """
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec:
          selector: {app: web}
          ports: [{port: 80, targetPort: http}]
        ---
        apiVersion: networking.k8s.io/v1
        kind: Ingress
        metadata:
          name: web
          annotations:
            alb.ingress.kubernetes.io/scheme: internal
        spec:
          ingressClassName: alb
          rules:
            - http:
                paths:
                  - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
    """,
}

STRATEGIC = """
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      template:
        spec:
          terminationGracePeriodSeconds: 90
          volumes:
            - name: tmp
              emptyDir: {}
          containers:
            - name: web
              env:
                - name: MODE
                  value: fast
                - name: OLD
                  $patch: delete
                - name: NEW
                  value: "2"
              lifecycle:
                preStop:
                  exec:
                    command: ["sleep", "5"]
              volumeMounts:
                - {name: tmp, mountPath: /tmp}
            - name: metrics
              $patch: delete
"""

OVERLAYS: Mapping[str, Mapping[str, str]] = {
    "a strategic merge patch": {
        "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: web.yaml}]\n",
        "prod/web.yaml": STRATEGIC,
    },
    "the old field for it": {
        "prod/kustomization.yaml": "bases:\n- ../base\npatchesStrategicMerge:\n- web.yaml\n",
        "prod/web.yaml": STRATEGIC,
    },
    "a patch that replaces a mapping and one that deletes a field": {
        "prod/kustomization.yaml": """
            resources: [../base]
            patches:
              - patch: |-
                  apiVersion: networking.k8s.io/v1
                  kind: Ingress
                  metadata:
                    name: web
                    annotations:
                      $patch: replace
                      alb.ingress.kubernetes.io/target-type: ip
              - patch: |-
                  apiVersion: apps/v1
                  kind: Deployment
                  metadata:
                    name: web
                  spec:
                    replicas: null
        """,
    },
    "operations of JSON 6902": {
        "prod/kustomization.yaml": """
            resources: [../base]
            patches:
              - target: {group: apps, version: v1, kind: Deployment, name: w.*}
                patch: |-
                  - op: replace
                    path: /spec/template/spec/terminationGracePeriodSeconds
                    value: 120
                  - op: add
                    path: /spec/template/spec/containers/0/args
                    value: [--timeout, "75"]
                  - {op: remove, path: /spec/template/spec/containers/1}
                  - op: test
                    path: /spec/replicas
                    value: 1
              - target: {kind: Ingress|Nothing}
                path: ingress.json
        """,
        "prod/ingress.json": """
            [{"op": "add", "value": "idle_timeout.timeout_seconds=120",
              "path": "/metadata/annotations/alb.ingress.kubernetes.io~1load-balancer-attributes"},
             {"op": "move", "from": "/spec/ingressClassName", "path": "/metadata/annotations/was"}]
        """,
    },
    "the old field for them": {
        "prod/kustomization.yaml": """
            resources: [../base]
            patchesJson6902:
              - target: {group: apps, version: v1, kind: Deployment, name: web}
                path: grace.yaml
        """,
        "prod/grace.yaml": "- {op: replace, path: /spec/template/spec/containers/0/name, value: app}\n",
    },
    "names, namespace, labels, annotations": {
        "prod/kustomization.yaml": """
            resources: [../base]
            namePrefix: prod-
            nameSuffix: -v2
            namespace: shop
            commonLabels: {tier: front}
            commonAnnotations: {owner: shop}
            labels:
              - pairs: {stage: prod}
              - pairs: {track: stable}
                includeSelectors: true
        """,
    },
    "images and replicas": {
        "prod/kustomization.yaml": """
            resources: [../base]
            replicas: [{name: web, count: 4}]
            images:
              - {name: registry.example.com/shop/web, newTag: "1.7.3"}
              - {name: metrics, newName: mirror/metrics, digest: "sha256:abc"}
        """,
    },
    "a generator that merges": {
        "prod/kustomization.yaml": """
            resources: [../base]
            generatorOptions: {disableNameSuffixHash: true}
            configMapGenerator:
              - name: web-env
                behavior: merge
                literals: [WEB_TIMEOUT=90]
              - name: conf
                files: [nginx.conf, other.conf=inner/part.conf]
                envs: [prod.env]
        """,
        "prod/nginx.conf": "events {}\nhttp { server { listen 80; } }\n",
        "prod/inner/part.conf": "keepalive_timeout 75s;\n",
        "prod/prod.env": "# prod\nA=1\nB=two words\n",
    },
    "a component": {
        "prod/kustomization.yaml": "resources: [../base]\ncomponents: [../slow]\nnamePrefix: prod-\n",
        "slow/kustomization.yaml": """
            apiVersion: kustomize.config.k8s.io/v1alpha1
            kind: Component
            patches:
              - target: {kind: Deployment}
                patch: '[{"op": "replace", "path": "/spec/replicas", "value": 7}]'
        """,
    },
    "a target by labels": {
        "prod/kustomization.yaml": """
            resources: [../middle]
            patches:
              - target: {labelSelector: "part=front"}
                patch: |-
                  - {op: add, path: /metadata/labels/seen, value: "yes"}
        """,
        "middle/kustomization.yaml": "bases: [../base]\nlabels: [{pairs: {part: front}}]\nnamePrefix: m-\n",
    },
    "a patch by the name that the base gave": {
        "prod/kustomization.yaml": "resources: [../middle]\npatches: [{path: web.yaml}]\n",
        "prod/web.yaml": STRATEGIC,
        "middle/kustomization.yaml": "resources: [../base]\nnamePrefix: m-\n",
    },
    "a custom resource, whose lists are replaced": {
        "prod/kustomization.yaml": "resources: [rollout.yaml]\npatches: [{path: patch.yaml}]\n",
        "prod/rollout.yaml": """
            apiVersion: argoproj.io/v1alpha1
            kind: Rollout
            metadata: {name: web}
            spec: {template: {spec: {containers: [{name: a, image: a}, {name: b, image: b}]}}}
        """,
        "prod/patch.yaml": """
            apiVersion: argoproj.io/v1alpha1
            kind: Rollout
            metadata: {name: web}
            spec: {template: {spec: {containers: [{name: a, image: c}]}}}
        """,
    },
}


def tree(files: Mapping[str, str]) -> dict[str, SourceText]:
    return {name: SourceText(name, dedent(text).lstrip("\n").encode()) for name, text in files.items()}


def built(files: Mapping[str, str]) -> Built:
    sources = tree(files)

    def load(file: str) -> SourceText:
        return sources[file]

    return build([name for name in sources if is_kustomization(name)], frozenset(sources), load)


def overlay(files: Mapping[str, str]) -> KubernetesFragment:
    (one,) = built(files).overlays
    return read_manifests(one.documents, one.folder)


def pods(files: Mapping[str, str]) -> Pods:
    (one,) = overlay(files).pods
    return one


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl to compare with")
@pytest.mark.parametrize("case", OVERLAYS)
def test_build_equals_what_kubectl_kustomize_makes(case: str, tmp_path: Path) -> None:
    files = {**BASE, **OVERLAYS[case]}
    for name, source in tree(files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source.data)
    ran = subprocess.run(
        ["kubectl", "kustomize", "prod"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    theirs = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(ran.stdout)}

    # Where the case does not use the base, that is a unit of its own.
    (unit,) = (one for one in built(files).overlays if one.folder == "prod")
    ours = {(one.node.text("kind"), one.node.text("metadata", "name")): one.node for one in unit.documents}

    assert {key: plain_data(node) for key, node in ours.items()} == theirs


def test_overlay_alone_is_a_unit_and_its_files_are_no_manifests_of_their_own() -> None:
    found = built(
        {**BASE, **OVERLAYS["a strategic merge patch"], "dev/kustomization.yml": "bases: [../base]\n"}
    )

    assert [one.folder for one in found.overlays] == ["dev", "prod"]
    assert found.used == {
        "base/kustomization.yaml", "base/deployment.yaml", "base/rest.yaml", "prod/kustomization.yaml",
        "prod/web.yaml", "dev/kustomization.yml",
    }  # fmt: skip
    assert not found.notes


def test_place_of_a_patched_value_is_in_the_patch() -> None:
    one = pods({**BASE, **OVERLAYS["a strategic merge patch"]})
    (container,) = one.containers

    grace = container.container.stop_timeout
    assert seconds(grace) == 90
    assert isinstance(grace, Explicit)
    assert grace.origin.literal is not None
    assert grace.origin.literal.place == "prod/web.yaml:8:38"
    assert one.place.file == "base/deployment.yaml"
    assert container.container.environment == {
        "WEB_TIMEOUT": "30", "MODE": "fast", "NEW": "2",
    }  # fmt: skip
    assert container.port_names == {"http": 8000}


def test_value_of_an_inline_operation_can_be_edited_in_the_kustomization() -> None:
    files = {**BASE, **OVERLAYS["operations of JSON 6902"]}
    grace = pods(files).containers[0].container.stop_timeout

    assert isinstance(grace, Explicit)
    assert grace.site is not None
    span = grace.site.span
    assert span.file == "prod/kustomization.yaml"
    source = tree(files)[span.file]
    assert source.data[span.start : span.end] == b"120"
    assert source.line(span.line).strip() == "value: 120"


def test_missing_field_is_written_into_the_patch_of_its_overlay() -> None:
    patch = STRATEGIC.replace("          terminationGracePeriodSeconds: 90\n", "")
    files = {
        **BASE, **OVERLAYS["a strategic merge patch"], "prod/web.yaml": patch,
        "base/deployment.yaml": BASE["base/deployment.yaml"].replace("terminationGracePeriodSeconds: 30", ""),
    }  # fmt: skip
    read = pods(files).containers[0].container.stop_timeout

    assert read.site is not None
    assert read.site.span.file == "prod/web.yaml"
    text = read.site.template.replace("{value}", "75")
    files["prod/web.yaml"] = edited(
        tree(files)["prod/web.yaml"].data, [Edit(read.site.span, text)]
    ).decode()  # fmt: skip
    assert seconds(pods(files).containers[0].container.stop_timeout) == 75


def test_hook_of_the_base_beside_another_in_the_patch_is_unknown() -> None:
    files = {
        **BASE, **OVERLAYS["a strategic merge patch"],
        "base/deployment.yaml": BASE["base/deployment.yaml"].replace(
            "image: registry",
            "lifecycle: {preStop: {sleep: {seconds: 9}}}\n                  image: registry",
        ),
    }  # fmt: skip
    hook = pods(files).containers[0].pre_stop

    assert isinstance(hook, Unknown)
    assert "may be only one" in hook.reason


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("github.com/example/apps//base?ref=v1", "nothing is fetched"),
        ("https://user:token@example.com/base.git", "nothing is fetched"),
        ("../missing", "is not in the given folders"),
        ("../../../etc/passwd", "is not in the given folders"),
    ],
)
def test_resource_that_lies_elsewhere_is_noted(entry: str, told: str) -> None:
    found = built({**BASE, "prod/kustomization.yaml": f"resources: [../base, '{entry}']\n"})

    assert [one.text for one in found.notes if told in one.text]
    assert not [one.text for one in found.notes if "token" in one.text]
    assert len(found.overlays[0].documents) == 4


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ("{target: {kind: Deployment, name: 'w(e|x)+b'}, path: p.yaml}", "the pattern 'w(e|x)+b' is not"),
        ("{target: {kind: Deployment, name: api}, path: p.yaml}", "no object is like its target"),
        ("{target: {kind: Deployment}, path: p.yaml}", "there is no nothing"),
        ("{path: p.yaml}", "it has no target"),
        ("{path: gone.yaml}", "gone.yaml is not in the given folders"),
    ],
)
def test_patch_that_cannot_be_used_is_noted(patch: str, told: str) -> None:
    found = built({
        **BASE, "prod/kustomization.yaml": f"resources: [../base]\npatches: [{patch}]\n",
        "prod/p.yaml": "- {op: replace, path: /spec/nothing/here, value: 1}\n",
    })  # fmt: skip

    assert [one.text for one in found.notes if told in one.text]
    assert len(found.overlays[0].documents) == 4


def test_kustomizations_that_use_each_other_end_in_a_note() -> None:
    found = built({
        "a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../c]\n",
        "c/kustomization.yaml": "resources: [../b, s.yaml]\n",
        "c/s.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    })  # fmt: skip

    assert [one for one in found.notes if "leads to itself" in one.text]
    assert [one.folder for one in found.overlays] == ["a"]


def test_objects_that_double_with_every_level_end_in_a_note() -> None:
    files = {"k0/kustomization.yaml": "resources: [s.yaml]\n",
             "k0/s.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"}  # fmt: skip
    for level in range(1, 10):
        for side in "abc":
            files[f"{side}{level}/kustomization.yaml"] = f"resources: [../k{level - 1}]\nnamePrefix: {side}\n"
        files[f"k{level}/kustomization.yaml"] = f"resources: [../a{level}, ../b{level}, ../c{level}]\n"

    found = built(files)

    assert [one for one in found.notes if "more objects than configuration has" in one.text]


def test_more_patches_than_configuration_has_end_in_a_note() -> None:
    many = {"prod/kustomization.yaml": "bases: [../base]\nimages:\n" + "- {name: a, newTag: b}\n" * 1500}
    found = built(BASE | many)
    assert [one for one in found.notes if "changes more than configuration has" in one.text]

    one = "- {op: add, path: /spec/x, value: 1}\n"
    patch = {"prod/kustomization.yaml": "bases: [../base]\npatches: [{path: p, target: {kind: Ingress}}]\n"}
    found = built(BASE | patch | {"prod/p": one * 1001})
    assert [one for one in found.notes if "more than 1000 operations" in one.text]
    assert not built(BASE | patch | {"prod/p": one * 1000}).notes


def test_patch_that_is_nested_as_deep_as_yaml_may_be_is_merged() -> None:
    deep = "{a: " * 190 + "1" + "}" * 190
    patch = f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{x: {deep}}}\n"
    twice = {
        "prod/kustomization.yaml": "bases: [../base]\npatches: [{path: p}, {path: p}]\n",
        "prod/p": patch,
    }
    found = built(BASE | twice)

    assert not found.notes
    (deployment,) = (one.node for one in found.overlays[0].documents if one.node.text("kind") == "Deployment")
    assert deployment.whole("spec", "x", *"a" * 190) == 1


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_become_documents_or_notes(kustomization: bytes, patch: bytes) -> None:
    sources = {
        "prod/kustomization.yaml": SourceText("prod/kustomization.yaml", kustomization),
        "dev/kustomization.yaml": SourceText(
            "dev/kustomization.yaml", b"resources: [../base]\npatches: [{path: p, target: {kind: .*}}]\n"
        ),
        "dev/p": SourceText("dev/p", patch),
    } | tree(BASE)  # fmt: skip

    found = build([one for one in sources if is_kustomization(one)], frozenset(sources), sources.__getitem__)

    for one in found.overlays:
        assert read_manifests(one.documents, one.folder).file == one.folder


_LEAVES = st.sampled_from(
    ["web", "../base", "p.yaml", "1", "null", "{}", "[]", "/spec", "a=b", "delete", "|", "Service"]
)
_KEYS = st.sampled_from([
    "resources", "patches", "target", "kind", "name", "patch", "path", "images", "replicas", "labels",
    "pairs", "configMapGenerator", "literals", "files", "envs", "components", "namePrefix", "namespace",
    "$patch",
    "metadata", "spec", "commonLabels", "patchesJson6902", "patchesStrategicMerge", "behavior",
])  # fmt: skip


@given(
    st.dictionaries(
        _KEYS,
        st.recursive(
            _LEAVES,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_any_shape_of_a_kustomization_becomes_documents_or_notes(content: dict[str, object]) -> None:
    files = {**BASE, "prod/p.yaml": STRATEGIC, "prod/kustomization.yaml": yaml.safe_dump(content)}

    try:
        found = built(files)
    except ReadError as error:
        pytest.fail(f"{error}")

    for one in found.overlays:
        assert read_manifests(one.documents, one.folder).file == one.folder
