"""Pod templates: what runs, what it is told, and how it is stopped."""

from __future__ import annotations

import pytest
from tests.readers.kubernetes.support import (
    absent,
    deployment,
    read,
    seconds,
    the_container,
    the_pods,
)
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.model.setting import Explicit, Unknown
from keepalign.readers._reader import CommandLine, CommandStyle
from keepalign.readers.kubernetes import documents_of, read_manifests
from keepalign.readers.kubernetes.mounts import Excerpt


def words(line: CommandLine | None) -> list[str | None]:
    assert line is not None
    return [word.text for word in line.words]


def test_command_and_args_are_entrypoint_and_command() -> None:
    source, one = the_container("""
        image: registry/web:1
        command: ["gunicorn"]
        args:
          - --bind=:8000
          - "app:app"
    """)
    assert words(one.container.entry_point) == ["gunicorn"]
    assert words(one.container.command) == ["--bind=:8000", "app:app"]
    assert one.container.image == "registry/web:1"
    assert text_at(source, one.container.image_span) == "registry/web:1"


@pytest.mark.parametrize(
    ("text", "style", "further"),
    [
        ('["gunicorn", "app:app"]', CommandStyle.LIST, '["gunicorn", "app:app", "--x"]'),
        ("\n  - gunicorn\n  - app:app", CommandStyle.ROWS, '- app:app\n            - "--x"'),
        ("\n- gunicorn\n- 'app:app'  # the module", CommandStyle.ROWS, "- 'app:app'\n          - \"--x\""),
    ],
)
def test_further_word_has_a_place_behind_the_last(text: str, style: CommandStyle, further: str) -> None:
    source, one = the_container(f"image: x\nargs: {text}\nports: []")
    line = one.container.command
    assert line is not None
    assert line.style is style
    assert line.append_at is not None
    entry = ', "--x"' if style is CommandStyle.LIST else f'{line.lead}"--x"'
    at = line.append_at.start
    edited = (source.data[:at] + entry.encode() + source.data[at:]).decode()
    assert further in edited


def test_folded_last_word_leaves_no_place_behind_it() -> None:
    _, one = the_container("image: x\nargs:\n  - -c\n  - >-\n    gunicorn\n    app:app\n")
    assert one.container.command is not None
    assert one.container.command.append_at is None
    assert words(one.container.command) == ["-c", "gunicorn app:app"]


def test_script_in_a_block_keeps_its_bytes() -> None:
    source, one = the_container("""
        image: x
        command: [sh, -c]
        args:
          - |
            python manage.py migrate
            exec gunicorn app:app \\
              --keep-alive 65
        ports: []
    """)
    assert one.container.command is not None
    (script,) = one.container.command.words
    assert script.text is not None
    assert script.text.startswith("python manage.py migrate\n")
    assert script.text.endswith("--keep-alive 65")
    assert text_at(source, script.value_span) == script.text


def test_reference_to_the_environment_is_its_value() -> None:
    source, one = the_container("""
        image: x
        args: ["--bind=:$(PORT)", "--keep-alive", "$(KEEP)", "$$(PORT)", "$(UNSET)"]
        env:
          - name: PORT
            value: "8000"
          - name: KEEP
            valueFrom: {secretKeyRef: {name: s, key: k}}
    """)
    line = one.container.command
    assert words(line) == ["--bind=:8000", "--keep-alive", None, "$(PORT)", "$(UNSET)"]
    assert line is not None
    assert [name for name, _ in line.words[0].via] == ["PORT"]
    assert text_at(source, line.words[0].via[0][1]) == '"8000"'
    assert "KEEP" in line.words[2].reason


def test_environment_comes_from_config_maps_and_never_from_secrets() -> None:
    _, one = the_container(
        """
        image: x
        envFrom:
          - configMapRef: {name: settings}
            prefix: APP_
          - secretRef: {name: passwords}
        env:
          - {name: LEVEL, valueFrom: {configMapKeyRef: {name: settings, key: level}}}
          - {name: OTHER, valueFrom: {configMapKeyRef: {name: elsewhere, key: level}}}
          - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
          - {name: EMPTY}
        """,
        further="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: info}\n",
    )
    assert one.container.environment == {
        "APP_level": "info", "LEVEL": "info", "OTHER": None, "HOST": None, "EMPTY": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hook", "waits"),
    [
        ("sleep: {seconds: 15}", 15),
        ('exec: {command: ["sleep", "15"]}', 15),
        ('exec: {command: ["/bin/sh", "-c", "sleep 15"]}', 15),
        ("exec:\n  command:\n    - /bin/bash\n    - -c\n    - sleep 20s", 20),
        ('exec: {command: ["sh", "-c", "sleep 5 && nginx -s quit"]}', 5),
        ('exec: {command: ["sh", "-c", "sleep 2m"]}', 120),
        ('exec: {command: ["/usr/sbin/nginx", "-s", "quit"]}', 0),
        ('exec: {command: [sh, -c, "kill -USR1 $(pidof haproxy); sleep 25"]}', 25),
        ('exec: {command: [sh, -c, "sleep 10; nginx -s quit; sleep 5"]}', 15),
        ("sleep: {seconds: 0}", 0),
    ],
)
def test_hook_that_sleeps_is_a_delay(hook: str, waits: int) -> None:
    indented = "\n".join(f"    {line}" for line in hook.splitlines())
    _, one = the_container(f"image: x\nlifecycle:\n  preStop:\n{indented}\n")
    assert seconds(one.pre_stop) == waits


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("httpGet: {path: /stop, port: 8080}", "is a httpGet"),
        ('exec: {command: ["/app/drain.sh"]}', "runs a command"),
        ('exec: {command: ["sh", "-c", "sleep 5; /app/drain.sh"]}', "runs a command"),
        ('exec: {command: ["sh", "-c", "sleep $DELAY"]}', "runs a command"),
        ('exec: {command: ["sh", "-c", "sleep \'5"]}', "cannot be read"),
        ('sleep: {seconds: "{{ .Values.delay }}"}', "when the manifest is rendered"),
    ],
)
def test_hook_of_another_kind_is_unknown(hook: str, reason: str) -> None:
    _, one = the_container(f"image: x\nlifecycle:\n  preStop:\n    {hook}\n")
    assert isinstance(one.pre_stop, Unknown)
    assert reason in one.pre_stop.reason


def test_sleep_can_be_written_anew() -> None:
    source, one = the_container("image: x\nlifecycle: {preStop: {exec: {command: [sh, -c, sleep 5s]}}}\n")
    assert isinstance(one.pre_stop, Explicit)
    again = written(source, one.pre_stop.site, 25)
    (pods,) = read_manifests(documents_of(again), "k8s").pods
    assert seconds(pods.containers[0].pre_stop) == 25


@pytest.mark.parametrize("lifecycle", ["", "lifecycle:\n  postStart:\n    exec: {command: [touch, /x]}\n"])
def test_hook_can_be_added(lifecycle: str) -> None:
    source, one = the_container(f"image: x\n{lifecycle}ports:\n  - containerPort: 80\n")
    again = written(source, absent(one.pre_stop).site, 20)
    (pods,) = read_manifests(documents_of(again), "k8s").pods
    assert seconds(pods.containers[0].pre_stop) == 20
    assert pods.containers[0].container.ports == (80,)


def test_grace_period_is_the_pods() -> None:
    source, one = the_container("image: x", spec="terminationGracePeriodSeconds: 75")
    assert seconds(one.container.stop_timeout) == 75
    assert isinstance(one.container.stop_timeout, Explicit)
    again = written(source, one.container.stop_timeout.site, 90)
    assert b"terminationGracePeriodSeconds: 90\n" in again.data


def test_grace_period_can_be_added() -> None:
    source, one = the_container("image: x")
    again = written(source, absent(one.container.stop_timeout).site, 60)
    (pods,) = read_manifests(documents_of(again), "k8s").pods
    assert seconds(pods.containers[0].container.stop_timeout) == 60


def test_init_container_that_restarts_is_a_sidecar() -> None:
    text = deployment("image: x").replace(
        "      containers:\n",
        "      initContainers:\n        - {name: migrate, image: x}\n"
        "        - {name: proxy, image: envoy, restartPolicy: Always}\n      containers:\n",
    )
    _, pods = the_pods(text)
    assert [(one.container.name, one.sidecar) for one in pods.containers] == [("web", False), ("proxy", True)]


def test_probes_are_as_written() -> None:
    _, one = the_container("""
        image: x
        readinessProbe:
          httpGet: {path: /ready, port: http}
          periodSeconds: 5
        startupProbe:
          tcpSocket: {port: 80}
          failureThreshold: 30
    """)
    assert one.liveness is None
    assert one.readiness is not None
    assert (one.readiness.path, seconds(one.readiness.period)) == ("/ready", 5)
    assert one.startup is not None
    assert (one.startup.path, one.startup.failure_threshold) == (None, 30)
    assert absent(one.startup.period).option == "startupProbe.periodSeconds"


def test_strategies_of_every_kind() -> None:
    _, fragment = read(
        deployment("image: x", more="replicas: 4\nstrategy: {rollingUpdate: {maxSurge: 50%}}")
        + "---\n"
        + deployment("image: x", more="strategy: {blueGreen: {activeService: web}}")
        .replace("kind: Deployment", "kind: Rollout")
        .replace("apps/v1", "argoproj.io/v1alpha1")
        + "---\n"
        + deployment("image: x", more="updateStrategy: {type: OnDelete}").replace("Deployment", "StatefulSet")
    )
    found = {one.kind: (one.replicas, one.strategy, one.max_surge) for one in fragment.pods}
    assert found == {
        "Deployment": (4, "", "50%"),
        "Rollout": (None, "blueGreen", None),
        "StatefulSet": (None, "OnDelete", None),
    }


def test_part_of_a_workload_is_passed_over() -> None:
    """A patch of an overlay has no labels of its own, and means another document."""
    _, fragment = read("""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          template:
            spec:
              containers: [{name: web, image: x}]
    """)
    assert fragment.pods == ()


def test_image_of_a_template_is_unresolved_in_pieces() -> None:
    _, one = the_container('image: "{{ .Values.repo }}/web:${TAG}"')
    assert one.container.image == "*/web:*"


MAPS = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: conf}
    data:
      nginx.conf: |
        events {}
        http { keepalive_timeout 5s; }
      quoted.conf: "keepalive_timeout 6s;\\n"
      logo.svg: <svg/>
"""


def test_config_map_is_files_of_the_container() -> None:
    source, one = the_container(
        """
        image: nginx
        volumeMounts:
          - {name: c, mountPath: /etc/nginx/nginx.conf, subPath: nginx.conf}
          - {name: c, mountPath: /etc/nginx/conf.d/}
          - {name: cache, mountPath: /cache}
        """,
        spec="volumes:\n  - name: c\n    configMap: {name: conf}\n  - {name: cache, emptyDir: {}}",
        further=MAPS,
    )
    first, second = one.container.volumes
    assert (first.path, first.folder, list(first.files)) == (
        "/etc/nginx/nginx.conf", False, ["/etc/nginx/nginx.conf"],
    )  # fmt: skip
    assert (second.path, second.folder) == ("/etc/nginx/conf.d", True)
    assert list(second.files) == ["/etc/nginx/conf.d/nginx.conf", "/etc/nginx/conf.d/quoted.conf"]
    text = first.files["/etc/nginx/nginx.conf"]
    at = text.data.index(b"5s")
    assert isinstance(text, Excerpt)
    assert text_at(source, text.outside(text.span(at, at + 2))) == "5s"
    assert text.data.split() == b"events {} http { keepalive_timeout 5s; }".split()
    quoted = second.files["/etc/nginx/conf.d/quoted.conf"]
    assert quoted.data == b"keepalive_timeout 6s;\n"
    assert isinstance(quoted, Excerpt)
    assert text_at(source, quoted.outside(quoted.span(0, 4))).startswith('"keepalive')


def test_items_choose_keys_and_names() -> None:
    _, one = the_container(
        "image: nginx\nvolumeMounts: [{name: c, mountPath: /etc/nginx/conf.d}]",
        spec="volumes:\n- name: c\n  configMap: {name: conf, items: [{key: nginx.conf, path: site.conf}]}",
        further=MAPS,
    )
    assert list(one.container.volumes[0].files) == ["/etc/nginx/conf.d/site.conf"]


def test_missing_config_map_says_so() -> None:
    _, one = the_container(
        "image: nginx\nvolumeMounts: [{name: c, mountPath: /etc/nginx/conf.d}]",
        spec="volumes: [{name: c, configMap: {name: elsewhere}}]",
    )
    assert "ConfigMap elsewhere" in one.container.volumes[0].missing


def test_spans_lie_where_they_say() -> None:
    source, pods = the_pods(deployment("image: x\nargs: [a, b]\nlifecycle: {preStop: {sleep: {seconds: 5}}}"))
    assert_spans_fit(source, pods)
