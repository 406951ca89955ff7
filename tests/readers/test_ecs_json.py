"""Task definitions as JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.readers.sites import assert_spans_fit, text_at, written

from keepalign.errors import ReadError
from keepalign.model.setting import Explicit, Unknown
from keepalign.model.source import SourceText
from keepalign.readers._aws import AwsFragment, Container
from keepalign.readers._reader import Absent
from keepalign.readers.ecs_json import EcsJsonReader

READER = EcsJsonReader()
USUAL = """\
{
    "executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
    "containerDefinitions": [
        {
            "name": "web",
            "image": "<IMAGE1_NAME>",
            "essential": true,
            "command": ["gunicorn", "--bind", ":8000", "app:app"],
            "portMappings": [{"hostPort": 8000, "protocol": "tcp", "containerPort": 8000}],
            "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}],
            "environment": [{"name": "WEB_CONCURRENCY", "value": "4"}, {"name": "X", "value": "{{x}}"}],
            "secrets": [{"name": "DB_PASSWORD", "valueFrom": "arn:aws:ssm:x"}],
            "stopTimeout": 60
        }
    ],
    "requiresCompatibilities": ["FARGATE"],
    "family": "shop"
}
"""


def read(text: str, file: str = ".aws/task-definition.json") -> AwsFragment:
    return READER.read(SourceText(file, text.encode()))


def container(text: str) -> Container:
    (task,) = read(text).task_definitions
    (found,) = task.containers
    return found


def with_container(inner: str) -> str:
    return f'{{"family": "x", "containerDefinitions": [{{{inner}}}]}}'


@pytest.mark.parametrize(
    ("path", "head", "known"),
    [
        ("taskdef.json", '{"containerDefinitions": [', True),
        ("deploy/task-definition.json", '{"family": "web", "volumes": [', True),
        ("task_definition.prod.json", '{"family": "web"', True),
        ("ecs/web.json", '{ "taskDefinition": {"containerDefinitions": []', True),
        ("package.json", '{"name": "x"}', False),
        ("template.json", '{"Resources": {"T": {"ContainerDefinitions": []', False),
        ("container-definitions.json", '[{"name": "web"}]', False),
        ("taskdef.json", '{"Family": "x"}', False),
        ("taskdef.yaml", 'x: {"containerDefinitions": []}', False),
    ],
)
def test_task_definitions_are_known_by_their_key(path: str, head: str, known: bool) -> None:
    assert READER.recognise(path, head.encode()) is known


def test_task_definition_of_the_usual_kind() -> None:
    (task,) = read(USUAL).task_definitions
    web = task.containers[0]
    assert (task.family, task.address, task.place.line) == ("shop", "shop", 3)
    assert (web.name, web.image, web.ports, web.depends_on) == ("web", "*", (8000,), ("init",))
    assert web.environment == {"WEB_CONCURRENCY": "4", "X": None, "DB_PASSWORD": None}
    assert isinstance(web.stop_timeout, Explicit)
    assert web.stop_timeout.value.seconds == 60
    assert web.command is not None
    assert [word.text for word in web.command.words] == ["gunicorn", "--bind", ":8000", "app:app"]


def test_what_describe_task_definition_prints_is_read() -> None:
    (task,) = read('{"taskDefinition": ' + USUAL + ', "tags": []}').task_definitions
    assert task.family == "shop"


def test_file_without_the_key_holds_no_task_definition() -> None:
    assert not read('{"family": "x"}').task_definitions
    assert not read("[]").task_definitions
    assert not read("").task_definitions


def test_name_of_the_file_stands_for_a_family_that_is_filled_in() -> None:
    (task,) = read(USUAL.replace('"shop"', '"${FAMILY}"')).task_definitions
    assert (task.family, task.address) == (None, "task-definition.json")


@pytest.mark.parametrize(
    ("image", "pattern"),
    [
        ("<IMAGE1_NAME>", "*"),
        ("${ECR}/shop:${TAG}", "*/shop:*"),
        ("$IMAGE", "*"),
        ("{{ image }}", "*"),
        ("123.dkr.ecr.eu-west-1.amazonaws.com/shop:%TAG%", "123.dkr.ecr.eu-west-1.amazonaws.com/shop:*"),
        ("nginx:1.27", "nginx:1.27"),
    ],
)
def test_what_stands_in_for_an_image_is_not_known(image: str, pattern: str) -> None:
    assert container(with_container(f'"image": "{image}"')).image == pattern


def test_words_and_stop_timeout_are_written_where_they_stand() -> None:
    source = SourceText("t.json", USUAL.encode())
    (task,) = READER.read(source).task_definitions
    web = task.containers[0]
    assert web.command is not None
    assert text_at(source, web.command.words[2].value_span) == ":8000"
    assert web.command.append_at is not None
    assert source.data[: web.command.append_at.start].endswith(b'"app:app"')
    assert isinstance(web.stop_timeout, Explicit)
    again = READER.read(written(source, web.stop_timeout.site, 90)).task_definitions[0].containers[0]
    assert isinstance(again.stop_timeout, Explicit)
    assert again.stop_timeout.value.seconds == 90
    assert_spans_fit(source, task)


@pytest.mark.parametrize("inner", ['"name": "x"', "", '\n      "name": "x",\n      "image": "y"\n    '])
def test_stop_timeout_that_nobody_wrote_has_a_place(inner: str) -> None:
    source = SourceText("t.json", with_container(inner).encode())
    (task,) = READER.read(source).task_definitions
    read_ = task.containers[0].stop_timeout
    assert isinstance(read_, Absent)
    if inner:
        again = READER.read(written(source, read_.site, 90)).task_definitions[0].containers[0]
        assert isinstance(again.stop_timeout, Explicit)


@pytest.mark.parametrize("value", ['"soon"', "1.5", "-3", '"${STOP}"'])
def test_stop_timeout_that_is_no_number_is_unknown(value: str) -> None:
    assert isinstance(container(with_container(f'"stopTimeout": {value}')).stop_timeout, Unknown)


@pytest.mark.parametrize(
    "text",
    [
        '{"containerDefinitions": 1}',
        '{"containerDefinitions": ["x", 1]}',
        '{"containerDefinitions": {"a": 1}}',
        with_container('"command": [["a"], {"b": 1}], "environment": [1, {"name": "A"}], "portMappings": 3'),
        with_container('"name": 5, "image": null, "entryPoint": "x", "secrets": {}'),
    ],
)
def test_what_is_no_task_definition_is_noted_or_left_out(text: str) -> None:
    fragment = read(text)
    assert len(fragment.task_definitions) == 1


def test_broken_json_is_an_error_with_a_place() -> None:
    with pytest.raises(ReadError) as caught:
        read('{"containerDefinitions": [')
    assert caught.value.line is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_fragment_or_an_error(data: bytes) -> None:
    source = SourceText("t.json", b'{"containerDefinitions": [{' + data + b"}]}")
    try:
        fragment = READER.read(source)
    except ReadError:
        return
    assert_spans_fit(source, fragment)
