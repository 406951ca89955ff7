"""Spring Boot and Tomcat behind a balancer: which server, what wins, the finding and its fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, told, whole_service, written

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Default, Disabled, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

CONTAINER = '{ name = "web", image = "registry/app:1", %s portMappings = [{ containerPort = 8080 }] }'
IMAGE = """\
FROM maven:3.9-eclipse-temurin-21 AS build
WORKDIR /app
COPY pom.xml .
COPY src ./src
RUN mvn -q package
FROM eclipse-temurin:21-jre
COPY --from=build /app/target/*.jar /app.jar
"""
DOCKERFILE = IMAGE + 'ENTRYPOINT ["java", "-jar", "/app.jar"]\n'
POM = """\
<project>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>%s</version>
  </parent>
  <dependencies>%s</dependencies>
</project>
"""
RESOURCES = "src/main/resources/"
PROPERTIES = f"{RESOURCES}application.properties"
YAML = f"{RESOURCES}application.yml"
TOMCAT = "server.tomcat.keep-alive-timeout"


def starter(*names: str) -> str:
    """Dependencies of a pom.xml."""
    return "".join(
        f"<dependency><groupId>org.springframework.boot</groupId>"
        f"<artifactId>spring-boot-starter-{name}</artifactId></dependency>"
        for name in names
    )


def pom(*names: str, version: str = "3.3.2", more: str = "") -> str:
    """A pom.xml with starters."""
    return POM % (version, starter(*(names or ("web",))) + more)


def tree(folder: Path, files: Mapping[str, str], *, more: str = "") -> str:
    """A service behind a balancer, whose image is built in `app`."""
    terraform = alb() + whole_service("app", containers=CONTAINER % more)
    own = {f"app/{name}": text for name, text in {"Dockerfile": DOCKERFILE, **files}.items()}
    return written(folder, {"main.tf": terraform, **own})


def server(root: str) -> Hop:
    (path,) = load_stack([root]).stack.paths
    assert len(path.hops) == 2, told(load_stack([root]).stack.unjoined)
    return path.hops[-1]


def spring(
    folder: Path, files: Mapping[str, str], *, environment: Mapping[str, str] | None = None, more: str = ""
) -> Hop:
    """A Spring Boot application with Tomcat, unless a build file says otherwise."""
    pairs = ", ".join(f'{{ name = "{k}", value = "{v}" }}' for k, v in (environment or {}).items())
    builds = {} if any(name.startswith(("pom", "build")) for name in files) else {"pom.xml": pom()}
    return server(tree(folder, {**builds, **files}, more=f"environment = [{pairs}], {more}"))


def idle(hop: Hop) -> Setting:
    return hop.settings[Role.SERVER_IDLE]


def seconds(number: float) -> Duration:
    return Duration.of(s=number)


@pytest.mark.parametrize(
    ("build", "product", "default"),
    [
        ({"pom.xml": pom("web")}, Product.TOMCAT, 60),
        ({"pom.xml": pom("web", "actuator", "data-jpa")}, Product.TOMCAT, 60),
        ({"pom.xml": pom("webmvc", version="4.0.1")}, Product.TOMCAT, 60),
        ({"pom.xml": pom("webflux")}, Product.REACTOR_NETTY, None),
        # With both, it is an application of servlets; WebFlux is there for its client.
        ({"pom.xml": pom("web", "webflux")}, Product.TOMCAT, 60),
        (
            {"pom.xml": pom("jetty", more="<dependency><artifactId>spring-boot-starter-web</artifactId>"
             "<exclusions><exclusion><groupId>g</groupId><artifactId>spring-boot-starter-tomcat</artifactId></exclusion>"
             "</exclusions></dependency>")},
            Product.JETTY, 30,
        ),
        ({"pom.xml": pom("web", "undertow", version="3.2.0")}, Product.UNDERTOW, 60),
        ({"pom.xml": pom("web", more="<!--" + starter("jetty") + "-->")}, Product.TOMCAT, 60),
        (
            {"pom.xml": pom("actuator", more="<dependency><groupId>org.springframework.cloud</groupId>"
             "<artifactId>spring-cloud-starter-gateway</artifactId></dependency>")},
            Product.REACTOR_NETTY, None,
        ),
        (
            {"build.gradle": "plugins { id 'org.springframework.boot' version '3.1.5' }\n"
             "dependencies {\n  implementation 'org.springframework.boot:spring-boot-starter-web'\n"
             "  // implementation 'org.springframework.boot:spring-boot-starter-jetty'\n}\n"},
            Product.TOMCAT, 60,
        ),
        (
            {"build.gradle.kts": 'plugins { id("org.springframework.boot") version "3.1.5" }\n'
             'dependencies {\n  implementation(libs.spring.boot.starter.webflux)\n}\n'},
            Product.REACTOR_NETTY, None,
        ),
        (
            {"build.gradle.kts": 'dependencies {\n'
             '  implementation("org.springframework.boot:spring-boot-starter-web")\n'
             '  modules { module("org.springframework.boot:spring-boot-starter-tomcat") {\n'
             '    replacedBy("org.springframework.boot:spring-boot-starter-jetty") } }\n}\n'},
            Product.JETTY, 30,
        ),
    ],
)  # fmt: skip
def test_build_file_says_which_server_is_inside(
    build: Mapping[str, str], product: Product, default: float | None, tmp_path: Path
) -> None:
    hop = spring(tmp_path, build)
    assert hop.product is product
    found = idle(hop)
    if default is None:
        assert isinstance(found, Unlimited)
    else:
        assert isinstance(found, Default)
        assert found.value == seconds(default)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TOMCAT}=75s", 75),
        (f"{TOMCAT}=75000", 75),
        (f"{TOMCAT} = 75000ms", 75),
        (f"{TOMCAT}: PT1M15S", 75),
        (f"{TOMCAT}=1m", 60),
        (f"{TOMCAT}=-1", None),
        (f"{TOMCAT}=0", 0),
        ("server.tomcat.keepAliveTimeout=75s", 75),
        ("server.tomcat.keep_alive_timeout=75s", 75),
        ("server.tomcat.connection-timeout=20000", 20),
        (f"server.tomcat.connection-timeout=5s\n{TOMCAT}=65s", 65),
        (f"{TOMCAT}=5s\n# {TOMCAT}=6s\n{TOMCAT}=\\\n  75s", 75),
        (f"idle=90s\n{TOMCAT}=${{idle}}", 90),
        (f"{TOMCAT}=${{IDLE:90s}}", 90),
        (f"{TOMCAT}=${{IDLE:${{OTHER:90s}}}}", 90),
    ],
)
def test_properties_are_read_as_spring_boot_does(text: str, expected: float | None, tmp_path: Path) -> None:
    found = idle(spring(tmp_path, {PROPERTIES: text}))
    if expected is None:
        assert isinstance(found, Unlimited)
    else:
        assert isinstance(found, Explicit)
        assert (found.option, found.value) == (TOMCAT, seconds(expected))
    fallback = "keep-alive-timeout is not set, so connection-timeout counts"
    assert (found.origin.note == fallback) is ("tomcat.connection-timeout=20000" in text)


@pytest.mark.parametrize(
    "text",
    [
        "server:\n  tomcat:\n    keep-alive-timeout: 75s\n",
        "server:\n  tomcat:\n    keep-alive-timeout: 75000 # ms\n",
        "server.tomcat.keep-alive-timeout: 75s\n",
        "server:\n  tomcat.keepAliveTimeout: '75s'\n",
        "server: {tomcat: {keep-alive-timeout: ${IDLE:75s}}}\n".replace("${IDLE:75s}", '"${IDLE:75s}"'),
        "\ufeffserver:\r\n  tomcat:\r\n    keep-alive-timeout: 75s\r\n",
    ],
)
def test_yaml_says_the_same(text: str, tmp_path: Path) -> None:
    assert value_of(idle(spring(tmp_path, {YAML: text}))) == seconds(75)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{TOMCAT}=soon", "'soon' is no length of time that Spring Boot reads"),
        # A comment behind a value is part of it.
        (f"{TOMCAT}=60s # idle", "'60s # idle' is no length of time that Spring Boot reads"),
        (f"{TOMCAT}=${{NOWHERE}}", "NOWHERE is not set in the given files"),
        (f"a=${{b}}\nb=${{a}}\n{TOMCAT}=${{a}}", "its placeholders go round"),
        (f"{TOMCAT}=1m30s", "'1m30s' is no length of time that Spring Boot reads"),
    ],
)
def test_what_spring_boot_refuses_is_unknown(text: str, reason: str, tmp_path: Path) -> None:
    found = idle(spring(tmp_path, {PROPERTIES: text}))
    assert isinstance(found, Unknown)
    assert found.reason == reason


PROFILED = {
    PROPERTIES: f"{TOMCAT}=10s\n",
    f"{RESOURCES}application-prod.yml": "server:\n  tomcat:\n    keep-alive-timeout: 80s\n",
}


@pytest.mark.parametrize(
    ("files", "environment", "command", "expected"),
    [
        (PROFILED, {}, "", 10),
        (PROFILED, {"SPRING_PROFILES_ACTIVE": "prod"}, "", 80),
        (PROFILED, {"SPRING_PROFILES_ACTIVE": "eu, prod"}, "", 80),
        (PROFILED, {"SPRING_PROFILES_ACTIVE": "stage"}, "", 10),
        (PROFILED, {}, '"--spring.profiles.active=prod"', 80),
        ({PROPERTIES: "spring.profiles.active=prod\n#---\nspring.config.activate.on-profile=prod\n"
          f"{TOMCAT}=80s"}, {}, "", 80),
        ({YAML: "a: 1\n---\nspring:\n  config:\n    activate:\n      on-profile: \"!dev\"\n"
          "server.tomcat.keep-alive-timeout: 80s\n"}, {}, "", 80),
        ({PROPERTIES: f"{TOMCAT}=80s", YAML: f"{TOMCAT}: 5s"}, {}, "", 80),
        (PROFILED, {"SPRING_PROFILES_ACTIVE": "prod", "SERVER_TOMCAT_KEEPALIVETIMEOUT": "81s"}, "", 81),
        (PROFILED, {"SERVER_TOMCAT_KEEP_ALIVE_TIMEOUT": "81000"}, "", 81),
        (PROFILED, {"server.tomcat.keep-alive-timeout": "81s"}, "", 81),
        (PROFILED, {"JAVA_TOOL_OPTIONS": f"-Xmx1g -D{TOMCAT}=82s"}, "", 82),
        (PROFILED, {"SERVER_TOMCAT_KEEPALIVETIMEOUT": "5s"}, f'"--{TOMCAT}=83s"', 83),
    ],
)  # fmt: skip
def test_strongest_place_wins(
    files: Mapping[str, str], environment: Mapping[str, str], command: str, expected: float, tmp_path: Path
) -> None:
    more = f"command = [{command}]," if command else ""
    assert value_of(idle(spring(tmp_path, files, environment=environment, more=more))) == seconds(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("info:\n  version: @project.version@\nserver.tomcat.keep-alive-timeout: 75s\n", 75),
        ("app: {{ .Values.name }}\nserver.tomcat.keep-alive-timeout: 75s\n", 75),
        ("server:\n  tomcat:\n    keep-alive-timeout: @idle@\n", "'@idle@' is no length of time"),
        (f"{TOMCAT}: {{{{ .Values.idle }}}}\n", "'{{ .Values.idle }}' is no length of time"),
        ("server: [\n", "it may be set in "),
    ],
)  # fmt: skip
def test_templates_in_yaml_are_seen_through(text: str, expected: float | str, tmp_path: Path) -> None:
    found = idle(spring(tmp_path, {YAML: text}))
    if isinstance(expected, str):
        assert isinstance(found, Unknown)
        assert found.reason.startswith(expected)
    else:
        assert value_of(found) == seconds(expected)


@pytest.mark.parametrize(
    ("start", "files"),
    [
        ('ENTRYPOINT ["sh", "-c", "java $JAVA_OPTS -jar /app.jar"]', {}),
        ('ENTRYPOINT ["sh", "-c", "exec java ${JAVA_OPTS} -Duser.timezone=UTC -jar /app.jar"]', {}),
        ("CMD exec java -XX:MaxRAMPercentage=75 org.springframework.boot.loader.launch.JarLauncher", {}),
        ('ENTRYPOINT ["/usr/bin/tini", "--", "java", "-jar", "/app.jar"]', {}),
        ('COPY run.sh /\nENTRYPOINT ["/run.sh"]', {"run.sh": '#!/bin/sh\nexec java -jar /app.jar "$@"\n'}),
        ('CMD ["./mvnw", "spring-boot:run"]', {}),
    ],
)  # fmt: skip
def test_every_way_to_start_it(start: str, files: Mapping[str, str], tmp_path: Path) -> None:
    found = idle(spring(tmp_path, {"Dockerfile": f"{IMAGE}{start}\n", PROPERTIES: f"{TOMCAT}=77s", **files}))
    assert value_of(found) == seconds(77)


def test_profile_that_nothing_activates_is_told(tmp_path: Path) -> None:
    root = tree(tmp_path, {"pom.xml": pom(), **PROFILED})
    notes = [note.text for note in load_stack([root]).notes]
    assert f"{TOMCAT} is set here for the profile prod, which nothing that was read activates" in notes


@pytest.mark.parametrize(
    ("text", "environment", "where"),
    [
        ("spring.config.import=optional:configserver:${URL:http://a:secret@config:8888}", {},
         "spring.config.import=optional:configserver:http:"),
        ("", {"SPRING_CONFIG_ADDITIONAL_LOCATION": "/config/"}, "spring.config.additional-location=/config/"),
        ("", {"SPRING_APPLICATION_JSON": "{}"}, "SPRING_APPLICATION_JSON"),
    ],
)  # fmt: skip
def test_what_is_brought_in_from_elsewhere_leaves_it_open(
    text: str, environment: Mapping[str, str], where: str, tmp_path: Path
) -> None:
    hop = spring(tmp_path / "a", {PROPERTIES: text}, environment=environment)
    found = idle(hop)
    assert isinstance(found, Unknown)
    assert found.reason == f"it may be set in {where}"
    assert "graceful" not in hop.traits
    hop = spring(tmp_path / "b", {PROPERTIES: f"{text}\n{TOMCAT}=75s"}, environment=environment)
    assert value_of(idle(hop)) == seconds(75)


def test_configuration_server_of_a_bootstrap_file_leaves_it_open(tmp_path: Path) -> None:
    text = (
        "spring:\n  application:\n    name: account\n  cloud:\n    config:\n      uri: http://config:8888\n"
    )
    found = idle(spring(tmp_path, {f"{RESOURCES}bootstrap.yml": text}))
    assert isinstance(found, Unknown)
    assert found.reason == "it may be set in the server that spring.cloud.config.uri names"


def test_system_property_of_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    dockerfile = IMAGE + f'ENTRYPOINT ["java", "-D{TOMCAT}=70s", "-jar", "/app.jar"]\n'
    environment = {"SERVER_TOMCAT_KEEPALIVETIMEOUT": "5s"}
    found = idle(spring(tmp_path, {"Dockerfile": dockerfile}, environment=environment))
    assert value_of(found) == seconds(70)
    assert found.site is not None


@pytest.mark.parametrize(
    ("version", "text", "graceful", "grace"),
    [
        ("3.3.2", "", "off", None),
        ("3.3.2", "server.shutdown=graceful", "on", 30),
        ("3.3.2", "server.shutdown=GRACEFUL\nspring.lifecycle.timeout-per-shutdown-phase=45s", "on", 45),
        ("3.4.0", "", "on", 30),
        ("3.4.0", "server.shutdown=immediate", "off", None),
        ("4.0.1", "", "on", 30),
        ("2.2.13.RELEASE", "server.shutdown=graceful", "off", None),
        ("2.3.0.RELEASE", "server.shutdown=graceful", "on", 30),
        ("${boot}", "", "", None),
        ("${boot}", "server.shutdown=graceful", "on", 30),
    ],
)
def test_version_decides_how_it_stops(
    version: str, text: str, graceful: str, grace: float | None, tmp_path: Path
) -> None:
    hop = spring(tmp_path, {"pom.xml": pom(version=version), PROPERTIES: text})
    assert hop.traits.get("graceful", "") == graceful
    found = hop.settings.get(Role.SHUTDOWN_GRACE)
    assert (value_of(found) if found is not None else None) == (None if grace is None else seconds(grace))


def test_property_that_an_old_version_does_not_know_has_no_effect(tmp_path: Path) -> None:
    files = {
        "pom.xml": pom(version="2.4.13"),
        PROPERTIES: f"{TOMCAT}=75s\nserver.tomcat.connection-timeout=8s",
    }
    root = tree(tmp_path, files)
    assert value_of(idle(server(root))) == seconds(8)
    notes = [note.text for note in load_stack([root]).notes]
    assert f"{TOMCAT} has no effect: Spring Boot knows it since 2.5" in notes


def test_property_is_not_proposed_to_a_version_that_does_not_know_it(tmp_path: Path) -> None:
    """Of unknown versions it is: they are mostly newer."""
    assert idle(spring(tmp_path / "a", {"pom.xml": pom(version="2.4.13"), PROPERTIES: "a=b"})).site is None
    assert idle(spring(tmp_path / "b", {"pom.xml": pom(version="2.5.0"), PROPERTIES: "a=b"})).site is not None


def test_old_name_of_the_connection_timeout(tmp_path: Path) -> None:
    files = {"pom.xml": pom(version="2.1.9.RELEASE"), PROPERTIES: "server.connection-timeout=9000"}
    assert value_of(idle(spring(tmp_path / "a", files))) == seconds(9)
    files["pom.xml"] = pom(version="3.2.0")
    assert isinstance(idle(spring(tmp_path / "b", files)), Default)


@pytest.mark.parametrize(
    ("requests", "kind"), [("1", Disabled), ("0", Disabled), ("100", Default), ("-1", Default)]
)
def test_number_of_requests_can_end_keep_alive(requests: str, kind: type[Setting], tmp_path: Path) -> None:
    text = f"server.tomcat.max-keep-alive-requests={requests}"
    hop = spring(tmp_path, {PROPERTIES: text})
    assert type(idle(hop)) is kind
    assert hop.traits.get("max_requests") == ("100" if requests == "100" else None)


@pytest.mark.parametrize(
    ("build", "text", "expected"),
    [
        (pom("webflux"), "server.netty.idle-timeout=70s", 70),
        (pom("web", "jetty"), "server.jetty.connection-idle-timeout=70s", 70),
        (pom("web", "undertow"), "server.undertow.no-request-timeout=70000", 70),
        (pom("webflux"), f"{TOMCAT}=70s", None),
    ],
)
def test_each_server_has_its_own_property(
    build: str, text: str, expected: float | None, tmp_path: Path
) -> None:
    found = idle(spring(tmp_path, {"pom.xml": build, PROPERTIES: text}))
    assert value_of(found) == (None if expected is None else seconds(expected))


CUSTOMIZER = """\
@Component
class Limits implements WebServerFactoryCustomizer<TomcatServletWebServerFactory> {
  public void customize(TomcatServletWebServerFactory factory) {
    factory.addConnectorCustomizers(c -> ((AbstractHttp11Protocol<?>) c.getProtocolHandler())
        .setKeepAliveTimeout(%s));
  }
}
"""


@pytest.mark.parametrize(("argument", "expected"), [("65_000", 65), ("limits.idle()", None)])
def test_code_wins_over_properties(argument: str, expected: float | None, tmp_path: Path) -> None:
    files = {"src/main/java/a/Limits.java": CUSTOMIZER % argument, PROPERTIES: f"{TOMCAT}=5s"}
    found = idle(spring(tmp_path, files))
    if expected is None:
        assert isinstance(found, Unknown)
        assert "sets it in code" in found.reason
    else:
        assert value_of(found) == seconds(expected)


def test_module_that_the_image_copies_counts(tmp_path: Path) -> None:
    dockerfile = (
        'FROM eclipse-temurin:21\nCOPY api/target/api.jar /app.jar\nCMD ["java", "-jar", "/app.jar"]\n'
    )
    files = {
        "Dockerfile": dockerfile,
        "pom.xml": "<project><parent><artifactId>spring-boot-starter-parent</artifactId>"
        "<version>3.4.1</version></parent><modules><module>api</module><module>batch</module></modules></project>",
        "api/pom.xml": f"<project>{starter('webflux')}</project>",
        "batch/pom.xml": f"<project>{starter('web')}</project>",
        f"api/{PROPERTIES}": "server.netty.idle-timeout=66s\n",
    }
    hop = spring(tmp_path, files)
    assert hop.product is Product.REACTOR_NETTY
    assert value_of(idle(hop)) == seconds(66)
    assert hop.traits["graceful"] == "on"


def missing(root: str) -> str:
    stack = load_stack([root]).stack
    return next(text for what, text in told(stack.unjoined).items() if what.startswith("container web"))


def test_module_that_is_not_decided_is_told(tmp_path: Path) -> None:
    files = {
        "pom.xml": "<project><modules><module>one</module><module>two</module></modules></project>",
        "one/pom.xml": pom(),
        "two/pom.xml": pom(),
    }
    text = missing(tree(tmp_path, files))
    assert text.startswith("which of the modules ")
    assert text.endswith("the image holds is not decided; name it where the Dockerfile builds or copies it")


def test_application_without_a_web_starter_is_told(tmp_path: Path) -> None:
    text = missing(tree(tmp_path, {"pom.xml": pom("batch")}))
    assert "pom.xml names no web starter of Spring Boot" in text


@pytest.mark.parametrize(
    ("files", "fixed"),
    [
        ({PROPERTIES: f"{TOMCAT}=30s\n"}, {PROPERTIES: f"{TOMCAT}=90s\n"}),
        ({PROPERTIES: f"{TOMCAT}=30000\n"}, {PROPERTIES: f"{TOMCAT}=90000\n"}),
        ({PROPERTIES: f"{TOMCAT}=${{IDLE:30s}}\n"}, {PROPERTIES: f"{TOMCAT}=${{IDLE:90s}}\n"}),
        ({PROPERTIES: "server.port=8080\n"}, {PROPERTIES: f"server.port=8080\n{TOMCAT}=90s\n"}),
        ({PROPERTIES: "a=b"}, {PROPERTIES: f"a=b\n{TOMCAT}=90s\n"}),
        (
            {YAML: "server:\n  port: 8080\n  tomcat:\n    max-threads: 50\n"},
            {YAML: "server:\n  port: 8080\n  tomcat:\n    keep-alive-timeout: 90s\n    max-threads: 50\n"},
        ),
        (
            {YAML: "server:\n  port: 8080\n"},
            {YAML: "server:\n  tomcat.keep-alive-timeout: 90s\n  port: 8080\n"},
        ),
        ({}, {"Dockerfile": IMAGE + f'ENTRYPOINT ["java", "-jar", "/app.jar", "--{TOMCAT}=90s"]\n'}),
    ],
)  # fmt: skip
def test_fix_writes_properties(
    files: Mapping[str, str], fixed: Mapping[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path, {"pom.xml": pom(version="3.4.0"), **files})
    assert run(["check", root]) == 1
    assert "backend-keepalive-below-lb-idle" in capsys.readouterr().out
    assert run(["fix", root, "--write"]) == 0
    for name, text in fixed.items():
        assert (tmp_path / "app" / name).read_text() == text


SERVER_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<Server port="8005" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <!-- <Connector port="9999" keepAliveTimeout="1"/> -->
    <Connector port="8080" protocol="HTTP/1.1"
               %s
               redirectPort="8443" />
    <Connector protocol="AJP/1.3" address="::1" port="8009" keepAliveTimeout="5" />
    <Engine name="Catalina" defaultHost="localhost"/>
  </Service>
</Server>
"""
TOMCAT_IMAGE = "FROM tomcat:10.1.30-jdk17\nCOPY app.war /usr/local/tomcat/webapps/ROOT.war\n"
OWN_CONF = TOMCAT_IMAGE + "COPY conf/server.xml /usr/local/tomcat/conf/server.xml\n"


@pytest.mark.parametrize(
    ("attributes", "environment", "expected"),
    [
        ('connectionTimeout="20000"', {}, 20),
        ('connectionTimeout="20000" keepAliveTimeout="65000"', {}, 65),
        ("keepAliveTimeout='65000'", {}, 65),
        ('keepAliveTimeout="-1"', {}, None),
        ('connectionTimeout="-1"', {}, None),
        ('keepAliveTimeout="${idle:-65000}"', {}, 65),
        ('keepAliveTimeout="${idle:-65000}"', {"CATALINA_OPTS": "-Xmx1g -Didle=70000"}, 70),
        ('keepAliveTimeout="60"', {}, 0.06),
    ],
)
def test_connector_of_server_xml(
    attributes: str, environment: Mapping[str, str], expected: float | None, tmp_path: Path
) -> None:
    files = {"Dockerfile": OWN_CONF, "conf/server.xml": SERVER_XML % attributes}
    hop = spring(tmp_path, {"pom.xml": "<project/>", **files}, environment=environment)
    assert (hop.product, hop.version) == (Product.TOMCAT, "10.1.30")
    found = idle(hop)
    if expected is None:
        assert isinstance(found, Unlimited)
    else:
        assert isinstance(found, Explicit)
        assert found.value == seconds(expected)
    if expected == 0.06:
        assert found.origin.note == "60 ms: the number counts milliseconds"


def test_connector_without_times_has_those_of_tomcat(tmp_path: Path) -> None:
    hop = server(tree(tmp_path, {"Dockerfile": OWN_CONF, "conf/server.xml": SERVER_XML % ""}))
    assert value_of(idle(hop)) == seconds(60)
    assert idle(hop).option == "keepAliveTimeout"


def test_image_of_tomcat_without_a_command_has_its_shipped_server_xml(tmp_path: Path) -> None:
    hop = server(tree(tmp_path, {"Dockerfile": TOMCAT_IMAGE}))
    assert isinstance(idle(hop), Default)
    assert value_of(idle(hop)) == seconds(20)
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == seconds(2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<Server><Service><Connector port='8080'", "is not understood: it is no XML: "),
        ('<!DOCTYPE a [<!ENTITY b "c">]><Server/>', "declares the entity b, which keepalign does not follow"),
        ("<Server/>", "has no HTTP connector"),
        (
            "<Server><Connector port='1'/><Connector port='2' keepAliveTimeout='8'/></Server>",
            "several connectors differ, and which of them requests reach is not known",
        ),
    ],
)  # fmt: skip
def test_server_xml_that_says_nothing_is_told(text: str, reason: str, tmp_path: Path) -> None:
    assert reason in missing(tree(tmp_path, {"Dockerfile": OWN_CONF, "conf/server.xml": text}))


def test_server_xml_that_is_not_in_the_tree_is_told(tmp_path: Path) -> None:
    assert "conf/server.xml, which " in missing(tree(tmp_path, {"Dockerfile": OWN_CONF}))


def test_fix_writes_server_xml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SERVER_XML % 'connectionTimeout="20000"'
    root = tree(tmp_path, {"Dockerfile": OWN_CONF, "conf/server.xml": text})
    assert run(["check", root]) == 1
    assert "backend-keepalive-below-lb-idle" in capsys.readouterr().out
    assert run(["fix", root, "--write"]) == 0
    changed = (tmp_path / "app/conf/server.xml").read_text()
    assert changed == text.replace(
        '<Connector port="8080"', '<Connector keepAliveTimeout="90000" port="8080"'
    )
