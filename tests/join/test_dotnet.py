"""ASP.NET Core behind a balancer: from image and project to Kestrel, the finding and its fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, told, whole_service, written

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Default, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

CONTAINER = '{ name = "web", image = "registry/app:1", %s portMappings = [{ containerPort = 8080 }] }'
DOCKERFILE = """\
FROM mcr.microsoft.com/dotnet/sdk:8.0 AS build
WORKDIR /src
COPY . .
RUN dotnet publish Shop.Api/Shop.Api.csproj -c Release -o /out
FROM mcr.microsoft.com/dotnet/aspnet:8.0
WORKDIR /app
COPY --from=build /out .
ENTRYPOINT ["dotnet", "Shop.Api.dll"]
"""
CSPROJ = """\
<Project Sdk="Microsoft.NET.Sdk.Web">
  <PropertyGroup>
    <TargetFramework>net8.0</TargetFramework>
  </PropertyGroup>
</Project>
"""
PROGRAM = """\
var builder = WebApplication.CreateBuilder(args);
%s
var app = builder.Build();
app.MapGet("/", () => "Hello; // no comment");
app.Run();
"""
KESTREL = "builder.WebHost.ConfigureKestrel(options =>\n{\n    options.AddServerHeader = false;\n    %s\n});"
BINDING = 'builder.Services.Configure<KestrelServerOptions>(builder.Configuration.GetSection("Kestrel"));'
LIMITS = '{ "Kestrel": { "Limits": { "KeepAliveTimeout": "%s" } } }'


def tree(folder: Path, files: Mapping[str, str], *, more: str = "") -> str:
    """A service behind a balancer, whose image is built in `app`."""
    terraform = alb() + whole_service("app", containers=CONTAINER % more)
    own = {"Dockerfile": DOCKERFILE, "Shop.Api/Shop.Api.csproj": CSPROJ, "Shop.Api/Program.cs": PROGRAM % ""}
    return written(folder, {"main.tf": terraform, **{f"app/{k}": v for k, v in {**own, **files}.items()}})


def server(root: str) -> Hop:
    (path,) = load_stack([root]).stack.paths
    assert len(path.hops) == 2, told(load_stack([root]).stack.unjoined)
    assert path.hops[-1].product is Product.KESTREL
    return path.hops[-1]


def of_program(folder: Path, body: str, files: Mapping[str, str] | None = None, *, more: str = "") -> Hop:
    return server(tree(folder, {"Shop.Api/Program.cs": PROGRAM % body, **(files or {})}, more=more))


def idle(hop: Hop) -> Setting:
    return hop.settings[Role.SERVER_IDLE]


def seconds(number: float) -> Duration:
    return Duration.of(s=number)


@pytest.mark.parametrize(
    ("image", "framework", "keep_alive", "stop", "version"),
    [
        ("mcr.microsoft.com/dotnet/aspnet:8.0", "net8.0", 130, 30, "8.0"),
        ("mcr.microsoft.com/dotnet/aspnet:9.0-alpine", "net9.0", 130, 30, "9.0"),
        ("mcr.microsoft.com/dotnet/aspnet:6.0.36", "net6.0", 130, 30, "6.0"),
        ("mcr.microsoft.com/dotnet/aspnet:5.0", "net5.0", 120, 5, "5.0"),
        ("mcr.microsoft.com/dotnet/core/aspnet:3.1", "netcoreapp3.1", 120, 5, "3.1"),
        ("mcr.microsoft.com/dotnet/aspnet:latest", "net5.0", 120, 5, "5.0"),
        ("registry.local/base/dotnet:1", "net7.0", 130, 30, "7.0"),
    ],
)
def test_defaults_are_those_of_the_version(
    image: str, framework: str, keep_alive: float, stop: float, version: str, tmp_path: Path
) -> None:
    files = {
        "Dockerfile": DOCKERFILE.replace("mcr.microsoft.com/dotnet/aspnet:8.0", image),
        "Shop.Api/Shop.Api.csproj": CSPROJ.replace("net8.0", framework),
    }
    hop = server(tree(tmp_path, files))
    assert isinstance(idle(hop), Default)
    assert value_of(idle(hop)) == seconds(keep_alive)
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == seconds(stop)
    assert value_of(hop.settings[Role.SERVER_HEADER_READ]) == seconds(30)
    assert hop.version == version
    assert hop.traits["graceful"] == "on"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("TimeSpan.FromMinutes(2)", 120),
        ("TimeSpan.FromSeconds(65)", 65),
        ("TimeSpan.FromSeconds(6_5.5)", 65.5),
        ("TimeSpan.FromMilliseconds(65000)", 65),
        ("TimeSpan.FromHours(24)", 86400),
        ("new TimeSpan(0, 2, 10)", 130),
        ("new TimeSpan(1, 0, 0, 5)", 86405),
        ("new(0, 2, 10)", 130),
        ('TimeSpan.Parse("00:02:10")', 130),
        ("Timeout.InfiniteTimeSpan", None),
        ("TimeSpan.FromSeconds(IdleSeconds)", 70),
        ("TimeSpan.FromSeconds(IdleSeconds * 2)", 140),
        ("Idle", 80),
        ('TimeSpan.FromSeconds(builder.Configuration.GetValue<int>("Server:Idle", 90))', 90),
        ('TimeSpan.FromSeconds(builder.Configuration.GetValue<int>("Server:Known", 90))', 33),
        ('TimeSpan.Parse(builder.Configuration["Server:Span"])', 44),
        ('builder.Configuration.GetValue("Server:Span", TimeSpan.FromSeconds(1))', "unknown"),
        ("TimeSpan.FromSeconds(settings.Idle)", "unknown"),
        ("settings.Value.KeepAlive", "unknown"),
    ],
)
def test_time_spans_of_code(value: str, expected: float | str | None, tmp_path: Path) -> None:
    constants = (
        "const int IdleSeconds = 70; // not 71\nstatic readonly TimeSpan Idle = TimeSpan.FromSeconds(80);\n"
    )
    settings = '{\n  // comments are allowed\n  "Server": { "Known": 33, "Span": "00:00:44", },\n}\n'
    files = {"Shop.Api/appsettings.json": settings.replace(", },\n}", " }\n}")}
    body = constants + KESTREL % f"options.Limits.KeepAliveTimeout = {value};"
    found = idle(of_program(tmp_path, body, files))
    match expected:
        case None:
            assert isinstance(found, Unlimited)
        case "unknown":
            assert isinstance(found, Unknown)
            assert found.reason
        case _:
            assert isinstance(found, Explicit)
            assert found.value == seconds(float(expected))


@pytest.mark.parametrize(
    "line",
    [
        "// options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(5);",
        "/* options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(5); */",
        "socketOptions.KeepAliveTimeout = TimeSpan.FromSeconds(5);",
        "options.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(5);",
        "if (options.Limits.KeepAliveTimeout == TimeSpan.FromSeconds(5)) { }",
    ],
)
def test_look_alikes_are_none(line: str, tmp_path: Path) -> None:
    assert isinstance(idle(of_program(tmp_path, KESTREL % line)), Default)


def test_condition_makes_it_unknown(tmp_path: Path) -> None:
    line = "if (slow)\n    {\n        options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(5);\n    }"
    found = idle(of_program(tmp_path, KESTREL % line))
    assert isinstance(found, Unknown)
    assert found.reason == "line 6 decides whether it is set"


def test_two_places_that_differ_are_unknown(tmp_path: Path) -> None:
    line = "options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(%d);"
    found = idle(of_program(tmp_path, f"{KESTREL % (line % 5)}\n{KESTREL % (line % 6)}"))
    assert isinstance(found, Unknown)
    assert found.reason.startswith("several places set it: ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(45));", 45),
        ("builder.WebHost.UseShutdownTimeout(TimeSpan.FromSeconds(45));", 45),
        ("builder.Host.ConfigureHostOptions(o => { o.ShutdownTimeout = TimeSpan.FromMinutes(1); });", 60),
    ],
)
def test_time_to_stop(line: str, expected: float, tmp_path: Path) -> None:
    assert value_of(of_program(tmp_path, line).settings[Role.SHUTDOWN_GRACE]) == seconds(expected)


def test_limits_of_appsettings_count_only_where_code_binds_them(tmp_path: Path) -> None:
    """Kestrel reads its end points from there, and nothing else (dotnet/AspNetCore.Docs#31108)."""
    files = {"Shop.Api/appsettings.json": LIMITS % "00:00:20"}
    root = tree(tmp_path / "a", files)
    assert value_of(idle(server(root))) == seconds(130)
    (note,) = [note.text for note in load_stack([root]).notes if "Kestrel" in note.text]
    assert note.startswith("Kestrel:Limits:KeepAliveTimeout has no effect: ")
    found = idle(of_program(tmp_path / "b", BINDING, files))
    assert value_of(found) == seconds(20)
    assert found.origin.use is not None
    assert found.origin.use.file.endswith("appsettings.json")


@pytest.mark.parametrize(
    ("environment", "command", "expected"),
    [
        ({}, "", 75),
        ({"ASPNETCORE_ENVIRONMENT": "Development"}, "", 10),
        ({"DOTNET_ENVIRONMENT": "Staging"}, "", 60),
        ({"Kestrel__Limits__KeepAliveTimeout": "00:01:20"}, "", 80),
        ({"KESTREL__LIMITS__KEEPALIVETIMEOUT": "0.00:01:20"}, "", 80),
        ({}, '"--Kestrel:Limits:KeepAliveTimeout=00:01:30"', 90),
        ({"Kestrel__Limits__KeepAliveTimeout": "130"}, "", 130 * 86400),
        ({"Kestrel__Limits__KeepAliveTimeout": "00:00:130"}, "", None),
        ({"Kestrel__Limits__KeepAliveTimeout": "65s"}, "", None),
    ],
)
def test_strongest_setting_wins(
    environment: Mapping[str, str], command: str, expected: float | None, tmp_path: Path
) -> None:
    files = {
        "Shop.Api/appsettings.json": LIMITS % "00:01:00",
        "Shop.Api/appsettings.Production.json": LIMITS % "00:01:15",
        "Shop.Api/appsettings.Development.json": LIMITS % "00:00:10",
    }
    pairs = ", ".join(f'{{ name = "{k}", value = "{v}" }}' for k, v in environment.items())
    more = f"environment = [{pairs}]," + (f" command = [{command}]," if command else "")
    found = idle(of_program(tmp_path, BINDING, files, more=more))
    if expected is None:
        assert isinstance(found, Unknown)
        assert "is no length of time that .NET reads" in found.reason
    else:
        assert value_of(found) == seconds(expected)
    if expected == 130 * 86400:
        assert found.origin.note.startswith("130 days: a bare number counts days")


def test_project_is_that_of_the_entrypoint(tmp_path: Path) -> None:
    other = PROGRAM % (KESTREL % "options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(1);")
    files = {"Shop.Admin/Shop.Admin.csproj": CSPROJ, "Shop.Admin/Program.cs": other}
    assert value_of(idle(server(tree(tmp_path, files)))) == seconds(130)


@pytest.mark.parametrize("sdk", ["Microsoft.NET.Sdk", "Microsoft.NET.Sdk.Worker"])
def test_program_that_is_no_web_project_has_no_kestrel(sdk: str, tmp_path: Path) -> None:
    worker = CSPROJ.replace("Microsoft.NET.Sdk.Web", sdk)
    files = {
        "Dockerfile": DOCKERFILE.replace("Shop.Api.dll", "Shop.Worker.dll"),
        "Shop.Worker/Shop.Worker.csproj": worker,
    }
    stack = load_stack([tree(tmp_path, files)]).stack
    text = next(text for what, text in told(stack.unjoined).items() if what.startswith("container web"))
    assert "keepalign has no reader for what web runs" in text


def test_tests_and_built_files_do_not_count(tmp_path: Path) -> None:
    other = PROGRAM % (KESTREL % "options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(1);")
    files = {"Shop.Api/obj/Program.cs": other, "Shop.Api/bin/Program.cs": other, "Shop.Api/tests/A.cs": other}
    assert value_of(idle(server(tree(tmp_path, files)))) == seconds(130)


def test_project_that_is_not_decided_is_told(tmp_path: Path) -> None:
    files = {
        "Dockerfile": DOCKERFILE.replace("Shop.Api.dll", "app.dll"),
        "Shop.Admin/Shop.Admin.csproj": CSPROJ,
    }
    stack = load_stack([tree(tmp_path, files)]).stack
    text = next(text for what, text in told(stack.unjoined).items() if what.startswith("container web"))
    assert text.startswith("which of the projects ")


@pytest.mark.parametrize(
    "value", ["TimeSpan.FromSeconds(30)", "new TimeSpan(0, 0, 30)", "TimeSpan.FromMinutes(0.5)"]
)
def test_fix_writes_code(value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = KESTREL % f"options.Limits.KeepAliveTimeout = {value};"
    root = tree(tmp_path, {"Shop.Api/Program.cs": PROGRAM % body})
    assert run(["check", root]) == 1
    assert "backend-keepalive-below-lb-idle" in capsys.readouterr().out
    assert run(["fix", root, "--write"]) == 0
    changed = (tmp_path / "app/Shop.Api/Program.cs").read_text()
    assert changed == (PROGRAM % body).replace(value, "TimeSpan.FromSeconds(90)")
