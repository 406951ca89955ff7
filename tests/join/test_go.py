"""Go behind a balancer: from image and `go build` to the program, its server, the finding and its fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from tests.join.trees import alb, told, whole_service, written

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Default, Explicit, Setting, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

CONTAINER = '{ name = "web", image = "registry/app:1", %s portMappings = [{ containerPort = 8080 }] }'
MODULE = "module example.com/acme/app\n\ngo 1.22\n"
DOCKERFILE = """\
FROM golang:1.23.4-alpine AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 GOOS=linux go build -ldflags="-s -w" -o /out/app ./cmd/api
FROM gcr.io/distroless/static-debian12
COPY --from=build /out/app /app
ENTRYPOINT ["/app"]
"""
FLAT = DOCKERFILE.replace("./cmd/api", ".")
FIBER = "github.com/gofiber/fiber/v2"
ECHO_5 = "github.com/labstack/echo/v5"
HEAD = 'package main\n\nimport (\n\t"net/http"\n\t"os"\n\t"flag"\n\t"time"\n)\n\n'


def tree(folder: Path, files: Mapping[str, str], *, more: str = "", module: str = MODULE) -> str:
    """A service behind a balancer, whose image is built in `app`."""
    terraform = alb() + whole_service("app", containers=CONTAINER % more)
    own = {f"app/{name}": text for name, text in {"go.mod": module, "Dockerfile": FLAT, **files}.items()}
    return written(folder, {"main.tf": terraform, **own})


def server(root: str) -> Hop:
    (path,) = load_stack([root]).stack.paths
    assert path.hops[-1].product is Product.GO
    return path.hops[-1]


def of_main(folder: Path, body: str, *, more: str = "", before: str = "") -> Mapping[Role, Setting]:
    """The settings of a program whose `main` is `body`."""
    text = f"{HEAD}{before}\nfunc main() {{\n{body}\n}}\n"
    return server(tree(folder, {"main.go": text}, more=more)).settings


def seconds(number: float) -> Duration:
    return Duration.of(s=number)


def test_server_that_is_made_in_another_package_is_found(tmp_path: Path) -> None:
    main = """\
        package main

        import (
            "context"
            "os/signal"
            "syscall"
            "time"

            "example.com/acme/app/internal/web"
        )

        func main() {
            srv := web.New()
            ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
            defer stop()
            go srv.ListenAndServe()
            <-ctx.Done()
            shutdownCtx, cancel := context.WithTimeout(context.Background(), web.Grace*time.Second)
            defer cancel()
            srv.Shutdown(shutdownCtx)
        }
        """
    web = """\
        package web

        import (
            "net/http"
            "time"
        )

        const Grace = 20

        // New is the server of the API.
        func New() *http.Server {
            return &http.Server{
                Addr:         ":8080",
                ReadTimeout:  readTimeout,
                WriteTimeout: time.Second * 10,
            }
        }
        """
    limits = """\
        package web

        import "time"

        const readTimeout = 5 * time.Second
        """
    other = "package main\n\nfunc main() { println(1) }\n"
    hop = server(
        tree(
            tmp_path,
            {
                "Dockerfile": DOCKERFILE,
                "cmd/api/main.go": dedent(main),
                "cmd/migrate/main.go": other,
                "internal/web/server.go": dedent(web),
                "internal/web/limits.go": dedent(limits),
            },
        )
    )
    idle = hop.settings[Role.SERVER_IDLE]
    assert isinstance(idle, Explicit)
    assert (idle.option, idle.value) == ("Server.IdleTimeout", seconds(5))
    assert idle.origin.note == "IdleTimeout is not set, so ReadTimeout counts"
    assert [step.span.file.rpartition("/")[2] for step in idle.origin.steps] == ["server.go", "limits.go"]
    assert value_of(hop.settings[Role.SERVER_REQUEST_READ]) == seconds(5)
    assert value_of(hop.settings[Role.SERVER_HEADER_READ]) == seconds(5)
    assert value_of(hop.settings[Role.HANDLER_TIMEOUT]) == seconds(10)
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == seconds(20)
    assert hop.traits["graceful"] == "on"
    assert hop.traits["closes_idle_on_stop"] == "yes"
    assert hop.version == "1.23.4"
    assert hop.version_origin is not None
    assert hop.version_origin.steps[0].what == "FROM golang:1.23.4-alpine"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("", None),
        ("IdleTimeout: 0", None),
        ("IdleTimeout: 120 * time.Second", 120),
        ("IdleTimeout: time.Minute", 60),
        ("IdleTimeout: 2*time.Minute + 30*time.Second", 150),
        ("IdleTimeout: time.Duration(65) * time.Second", 65),
        ("IdleTimeout: 65e9", 65),
        ("IdleTimeout: 1_500 * time.Millisecond", 1.5),
        ("IdleTimeout: -1", None),
        ("ReadTimeout: 15 * time.Second", 15),
        ("ReadTimeout: 15 * time.Second, IdleTimeout: 0 * time.Second", 15),
        ("ReadTimeout: 15 * time.Second, IdleTimeout: 75 * time.Second", 75),
        ("ReadTimeout: 15 * time.Second, IdleTimeout: -1", None),
        ("ReadHeaderTimeout: 5 * time.Second", None),
        ("IdleTimeout: idle", 90),
        ("IdleTimeout: perRequest * time.Second", 40),
        ("IdleTimeout: 30", 0.000001),
    ],
)
def test_idle_connections_close_as_net_http_decides(
    limits: str, expected: float | None, tmp_path: Path
) -> None:
    before = "const idle = 90 * time.Second\nvar perRequest time.Duration = 40\n"
    body = f'\tsrv := &http.Server{{Addr: ":8080", {limits}}}\n\tsrv.ListenAndServe()'
    idle = of_main(tmp_path, body, before=before)[Role.SERVER_IDLE]
    if expected is None:
        assert isinstance(idle, Unlimited)
    else:
        assert isinstance(idle, Explicit)
        assert idle.value == seconds(expected)
    trap = "30 ns: the number counts nanoseconds"
    assert (idle.origin.note == trap) is (limits == "IdleTimeout: 30")


@pytest.mark.parametrize(
    "body",
    [
        '\thttp.ListenAndServe(":8080", nil)',
        '\tlog.Fatal(http.ListenAndServeTLS(":8443", "c", "k", mux))',
        "\tvar srv http.Server\n\tsrv.Serve(l)",
        "\tsrv := new(http.Server)\n\tsrv.Serve(l)",
        "\tsrv := http.Server{}\n\tsrv.ListenAndServe()",
    ],
)
def test_server_without_limits_keeps_idle_connections(body: str, tmp_path: Path) -> None:
    settings = of_main(tmp_path, body)
    assert isinstance(settings[Role.SERVER_IDLE], Unlimited)
    assert isinstance(settings[Role.HANDLER_TIMEOUT], Unlimited)
    assert settings[Role.SERVER_IDLE].origin.source == "https://pkg.go.dev/net/http#Server"


OPTIONS = """\
package main

import (
    "net/http"
    "time"
)

const _defaultReadTimeout = 5 * time.Second

type Option func(*Server)

type Server struct {
    server *http.Server
}

func ReadTimeout(timeout time.Duration) Option {
    return func(s *Server) {
        s.server.ReadTimeout = timeout
    }
}

func New(handler http.Handler, opts ...Option) *Server {
    httpServer := &http.Server{Handler: handler, ReadTimeout: _defaultReadTimeout}
    s := &Server{server: httpServer}
    for _, opt := range opts {
        opt(s)
    }
    return s
}

func main() { New(nil, ReadTimeout(time.Minute)).server.ListenAndServe() }
"""


def test_option_that_a_caller_may_set_is_unknown(tmp_path: Path) -> None:
    idle = server(tree(tmp_path, {"main.go": OPTIONS})).settings[Role.SERVER_IDLE]
    assert isinstance(idle, Unknown)
    assert idle.reason == "IdleTimeout is not set, so ReadTimeout counts: timeout is what a caller gives"


def test_name_that_another_function_has_too_is_unknown(tmp_path: Path) -> None:
    before = "const idle = 60 * time.Second\n\nfunc other() { idle := time.Second; _ = idle }\n"
    body = "\ts := &http.Server{IdleTimeout: idle}\n\ts.Serve(l)"
    idle = of_main(tmp_path, body, before=before)[Role.SERVER_IDLE]
    assert isinstance(idle, Unknown)
    assert idle.reason == "idle is set in several places"


def test_two_assignments_are_unknown(tmp_path: Path) -> None:
    lines = [
        "s := &http.Server{}",
        "s.IdleTimeout = time.Second",
        "s.IdleTimeout = time.Minute",
        "s.Serve(l)",
    ]
    body = "\n".join(f"\t{line}" for line in lines)
    idle = of_main(tmp_path, body)[Role.SERVER_IDLE]
    assert isinstance(idle, Unknown)
    assert idle.reason == "line 14 decides whether it is set"


def test_assignments_count_and_a_condition_makes_them_unknown(tmp_path: Path) -> None:
    body = "\ts := &http.Server{}\n\ts.IdleTimeout = 61 * time.Second\n\ts.ListenAndServe()"
    assert value_of(of_main(tmp_path / "a", body)[Role.SERVER_IDLE]) == seconds(61)
    body = "\ts := &http.Server{}\n\tif x {\n\t\ts.IdleTimeout = 61 * time.Second\n\t}\n\ts.ListenAndServe()"
    idle = of_main(tmp_path / "b", body)[Role.SERVER_IDLE]
    assert isinstance(idle, Unknown)
    assert idle.reason == "line 13 decides whether it is set"


@pytest.mark.parametrize(
    ("expression", "environment", "expected", "words"),
    [
        ('getEnvDuration("IDLE", 65*time.Second)', {}, 65, "the default here: the environment variable IDLE"),
        ('getEnvDuration("IDLE", 65*time.Second)', {"IDLE": "5s"}, 5, "environment variable IDLE"),
        ('getEnvDuration("IDLE", 65*time.Second)', {"IDLE": "1m30s"}, 90, "environment variable IDLE"),
        ('time.Duration(envInt("IDLE", 65)) * time.Second', {"IDLE": "70"}, 70, "environment variable IDLE"),
        ('mustParse(cmp.Or(os.Getenv("IDLE"), "65s"))', {}, None, "mustParse() is called where it runs"),
        ('*flag.Duration("idle", 65*time.Second, "idle")', {}, 65, "the default of the flag -idle"),
        ("cfg.Idle", {}, 75, "the default here: the environment variable APP_IDLE"),
        ("cfg.Idle", {"APP_IDLE": "20s"}, 20, "environment variable APP_IDLE"),
        ("cfg.Wait", {}, 33, ""),
        ('viper.GetDuration("idle")', {}, None, "viper.GetDuration() is called where it runs"),
        ("conf.Other", {}, None, "conf.Other is decided where it runs"),
    ],
)
def test_expressions_are_folded_as_far_as_literals_go(
    expression: str, environment: Mapping[str, str], expected: float | None, words: str, tmp_path: Path
) -> None:
    before = (
        "type config struct {\n"
        '\tIdle time.Duration `envconfig:"APP_IDLE" default:"75s"`\n'
        "\tWait time.Duration\n}\n"
        "var defaults = config{Wait: 33 * time.Second}\n"
    )
    pairs = ", ".join(f'{{ name = "{k}", value = "{v}" }}' for k, v in environment.items())
    body = f"\tsrv := &http.Server{{IdleTimeout: {expression}}}\n\tsrv.ListenAndServe()"
    idle = of_main(tmp_path, body, before=before, more=f"environment = [{pairs}],")[Role.SERVER_IDLE]
    if expected is None:
        assert isinstance(idle, Unknown)
        assert idle.reason.startswith(words)
    else:
        assert isinstance(idle, Explicit)
        assert idle.value == seconds(expected)
        assert idle.origin.note.startswith(words)


def test_flag_of_the_command_line_wins(tmp_path: Path) -> None:
    body = (
        "\tvar idle time.Duration\n"
        '\tflag.DurationVar(&idle, "idle-timeout", time.Minute, "")\n\tflag.Parse()\n'
        "\tsrv := &http.Server{IdleTimeout: cfg.idle}\n\tsrv.ListenAndServe()"
    )
    body = body.replace("&idle,", "&cfg.idle,")
    settings = of_main(tmp_path / "a", body, more='command = ["-idle-timeout=95s"],')
    assert value_of(settings[Role.SERVER_IDLE]) == seconds(95)
    assert value_of(of_main(tmp_path / "b", body)[Role.SERVER_IDLE]) == seconds(60)


@pytest.mark.parametrize(
    ("imports", "body", "idle", "option"),
    [
        ("github.com/gin-gonic/gin", '\tr := gin.Default()\n\tr.Run(":8080")', None, "Server.IdleTimeout"),
        ("github.com/labstack/echo/v4", '\te := echo.New()\n\te.Start(":8080")', None, "Server.IdleTimeout"),
        (
            "github.com/labstack/echo/v4",
            '\te := echo.New()\n\te.Server.ReadTimeout = 20 * time.Second\n\te.Start(":8080")',
            20,
            "Server.IdleTimeout",
        ),
        (ECHO_5, '\te := echo.New()\n\te.Start(":80")', 30, "Echo 5 StartConfig IdleTimeout"),
        (
            FIBER,
            '\tapp := fiber.New(fiber.Config{IdleTimeout: 5 * time.Second})\n\tapp.Listen(":8080")',
            5,
            "fiber.Config IdleTimeout",
        ),
        (FIBER, '\tapp := fiber.New()\n\tapp.Listen(":3000")', None, "fiber.Config IdleTimeout"),
        (
            "github.com/valyala/fasthttp",
            "\ts := &fasthttp.Server{ReadTimeout: 7 * time.Second}\n\ts.ListenAndServe(a)",
            7,
            "fasthttp Server.IdleTimeout",
        ),
    ],
)  # fmt: skip
def test_frameworks_have_their_own_names_and_defaults(
    imports: str, body: str, idle: float | None, option: str, tmp_path: Path
) -> None:
    text = f'package main\n\nimport (\n\t"time"\n\t"{imports}"\n)\n\nfunc main() {{\n{body}\n}}\n'
    setting = server(tree(tmp_path, {"main.go": text})).settings[Role.SERVER_IDLE]
    assert setting.option == option
    assert isinstance(setting, Unlimited) if idle is None else value_of(setting) == seconds(idle)


STOPS = """\
package main

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	srv := &http.Server{Addr: ":8080"}
	quit := make(chan os.Signal, 1)
	%s
	go srv.ListenAndServe()
	<-quit
	%s
}
"""
WITHIN = "ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)\n\tdefer cancel()\n\t"


@pytest.mark.parametrize(
    ("notify", "end", "graceful", "grace"),
    [
        ("signal.Notify(quit, syscall.SIGTERM)", WITHIN + "srv.Shutdown(ctx)", "on", 15),
        ("signal.Notify(quit, os.Interrupt, syscall.SIGTERM)", WITHIN + "_ = srv.Shutdown(ctx)", "on", 15),
        ("signal.Notify(quit)", "srv.Shutdown(context.Background())", "on", "unlimited"),
        ("signal.Notify(quit, syscall.SIGTERM)", "srv.Shutdown(base)", "on", "unknown"),
        # Ctrl-C alone: the platform's signal ends the process at once.
        ("signal.Notify(quit, os.Interrupt)", WITHIN + "srv.Shutdown(ctx)", "off", None),
        ("_ = quit", "", "off", None),
        ("signal.Notify(quit, syscall.SIGTERM)", "os.Exit(0)", "", None),
        # Not the server's: the exporter of traces.
        ("signal.Notify(quit, syscall.SIGTERM)", WITHIN + "tracer.Shutdown(ctx)", "", None),
    ],
)
def test_how_the_program_stops(
    notify: str, end: str, graceful: str, grace: float | str | None, tmp_path: Path
) -> None:
    hop = server(tree(tmp_path, {"main.go": STOPS % (notify, end)}))
    assert hop.traits.get("graceful", "") == graceful
    found = hop.settings.get(Role.SHUTDOWN_GRACE)
    match grace:
        case None:
            assert found is None
        case "unlimited":
            assert isinstance(found, Unlimited)
        case "unknown":
            assert isinstance(found, Unknown)
        case _:
            assert isinstance(found, Explicit)
            assert found.value == seconds(float(grace))


def test_configuration_of_a_middleware_is_no_server(tmp_path: Path) -> None:
    text = (
        f'package main\n\nimport (\n\t"{FIBER}"\n\trecoverer "{FIBER}/middleware/recover"\n\t"time"\n)\n\n'
        "func main() {\n\tapp := fiber.New(fiber.Config{IdleTimeout: 6 * time.Second})\n"
        '\tapp.Use(recoverer.New(recoverer.Config{EnableStackTrace: true}))\n\tapp.Listen(":8080")\n}\n'
    )
    assert value_of(server(tree(tmp_path, {"main.go": text})).settings[Role.SERVER_IDLE]) == seconds(6)


def test_shutdown_of_the_server_counts_before_that_of_another(tmp_path: Path) -> None:
    end = "rpcServer.Shutdown(context.Background())\n\t" + WITHIN + "srv.Shutdown(ctx)"
    hop = server(tree(tmp_path, {"main.go": STOPS % ("signal.Notify(quit, syscall.SIGTERM)", end)}))
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == seconds(15)


def test_server_for_metrics_is_not_meant(tmp_path: Path) -> None:
    body = (
        '\tmetricsServer := &http.Server{Addr: ":9090", IdleTimeout: 3 * time.Second}\n'
        "\tgo metricsServer.ListenAndServe()\n"
        "\tapi := &http.Server{Addr: addr, IdleTimeout: 80 * time.Second}\n\tapi.ListenAndServe()"
    )
    assert value_of(of_main(tmp_path, body)[Role.SERVER_IDLE]) == seconds(80)


def test_port_of_the_container_tells_servers_apart(tmp_path: Path) -> None:
    body = (
        '\ta := &http.Server{Addr: ":8081", IdleTimeout: 3 * time.Second}\n\tgo a.ListenAndServe()\n'
        '\tb := &http.Server{Addr: ":8080", IdleTimeout: 80 * time.Second}\n\tb.ListenAndServe()'
    )
    assert value_of(of_main(tmp_path / "a", body)[Role.SERVER_IDLE]) == seconds(80)
    idle = of_main(tmp_path / "b", body.replace(":8080", ":1"))[Role.SERVER_IDLE]
    assert isinstance(idle, Unknown)
    assert idle.reason.startswith("several servers are started, which differ: ")


@pytest.mark.parametrize(
    "build",
    [
        "go build -o /out/app ./cmd/api",
        "go build -o /out/app cmd/api/main.go",
        "go build -o /out/app example.com/acme/app/cmd/api",
        "cd cmd/api && go build -o /out/app .",
        "--mount=type=cache,target=/go go build -trimpath -tags netgo -o=/out/app ./cmd/api",
        "go install ./cmd/api && cp /go/bin/api /out/app && go build -o /out/tool ./cmd/tool",
    ],
)
def test_go_build_says_which_program_runs(build: str, tmp_path: Path) -> None:
    program = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("%s", nil) }\n'
    files = {
        "Dockerfile": DOCKERFILE.replace(
            'CGO_ENABLED=0 GOOS=linux go build -ldflags="-s -w" -o /out/app ./cmd/api', build
        ).replace('/app /app\nENTRYPOINT ["/app"]', '/app /usr/local/bin/api\nENTRYPOINT ["api"]'),
        "cmd/api/main.go": program % ":8080",
        "cmd/tool/main.go": program % ":9",
    }
    hop = server(tree(tmp_path, files))
    assert hop.place is not None
    assert hop.place.file.endswith("cmd/api/main.go")


def test_program_that_make_builds_and_the_image_takes_is_the_only_one_there_is(tmp_path: Path) -> None:
    main = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n'
    dockerfile = """\
        FROM golang:1-alpine AS builder
        WORKDIR /go/app
        COPY . .
        RUN make build
        FROM scratch
        COPY --from=builder /go/app/app .
        ENTRYPOINT ["/app"]
        """
    hop = server(tree(tmp_path, {"Dockerfile": dedent(dockerfile), "main.go": main}))
    assert isinstance(hop.settings[Role.SERVER_IDLE], Unlimited)
    assert hop.version == "1.22"


@pytest.mark.parametrize("package", ["./cmd/api", "cmd/api/main.go"])
def test_go_run_says_which_program_runs(package: str, tmp_path: Path) -> None:
    program = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n'
    files = {
        "Dockerfile": f'FROM golang:1.22\nWORKDIR /src\nCOPY . .\nCMD ["go", "run", "{package}"]\n',
        "cmd/api/main.go": program,
        "cmd/tool/main.go": program,
    }
    place = server(tree(tmp_path, files)).place
    assert place is not None
    assert place.file.endswith("cmd/api/main.go")


def test_program_that_is_not_decided_is_told(tmp_path: Path) -> None:
    program = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n'
    files = {
        "Dockerfile": DOCKERFILE.replace('go build -ldflags="-s -w" -o /out/app ./cmd/api', "make build"),
        "cmd/api/main.go": program,
        "cmd/tool/main.go": program,
    }
    stack = load_stack([tree(tmp_path, files)]).stack
    (missing,) = [text for what, text in told(stack.unjoined).items() if what.startswith("container web")]
    assert missing.startswith("which of the programs ")
    assert "/cmd/api, " in missing
    assert "is /app is not decided" in missing


def test_worker_without_a_server_is_told(tmp_path: Path) -> None:
    main = 'package main\n\nimport "time"\n\nfunc main() { time.Sleep(time.Second) }\n'
    stack = load_stack([tree(tmp_path, {"main.go": main})]).stack
    (missing,) = [text for what, text in told(stack.unjoined).items() if what.startswith("container web")]
    assert "starts an HTTP server in a way that keepalign knows" in missing


def test_web_server_with_files_that_go_made_is_not_the_go_program(tmp_path: Path) -> None:
    """A site generator in the build stage; nginx serves what it wrote."""
    dockerfile = """\
        FROM golang:1.22 AS build
        COPY . .
        RUN go build -o /site . && /site > /out/index.html
        FROM nginx:1.27
        COPY nginx.conf /etc/nginx/nginx.conf
        COPY --from=build /out /usr/share/nginx/html
        CMD ["nginx", "-g", "daemon off;"]
        """
    main = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n'
    conf = "events {}\nhttp {\n  server {\n    listen 8080;\n    location / { root /usr/share; }\n  }\n}\n"
    root = tree(tmp_path, {"Dockerfile": dedent(dockerfile), "main.go": main, "nginx.conf": conf})
    (path,) = load_stack([root]).stack.paths
    assert path.hops[-1].product is Product.NGINX


def test_module_below_the_folder_of_the_dockerfile(tmp_path: Path) -> None:
    main = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n'
    dockerfile = FLAT.replace("COPY . .", "COPY backend/go.mod ./\nCOPY backend/ .")
    terraform = alb() + whole_service("app", containers=CONTAINER % "")
    files = {
        "main.tf": terraform,
        "app/Dockerfile": dockerfile,
        "app/backend/go.mod": MODULE,
        "app/backend/main.go": main,
        "app/tools/go.mod": "module other\n",
        "app/tools/main.go": main,
    }
    place = server(written(tmp_path, files)).place
    assert place is not None
    assert place.file.endswith("app/backend/main.go")


def test_test_files_and_other_systems_do_not_count(tmp_path: Path) -> None:
    main = 'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe("", nil) }\n'
    other = f"{HEAD}func helper() {{ s := &http.Server{{IdleTimeout: time.Second}}; s.Serve(l) }}\n"
    files = {
        "main.go": main,
        "main_test.go": other,
        "serve_windows.go": other,
        "gen.go": f"//go:build ignore\n\n{other}",
        "vendor/x/x.go": other.replace("package main", "package x"),
    }
    assert isinstance(server(tree(tmp_path, files)).settings[Role.SERVER_IDLE], Unlimited)


@pytest.mark.parametrize(
    ("server_text", "fixed"),
    [
        (
            "\tsrv := &http.Server{\n\t\tAddr:        \":8080\",\n\t\tIdleTimeout: 30 * time.Second,\n\t}\n",
            "\t\tIdleTimeout: 90 * time.Second,\n",
        ),
        (
            "\tsrv := &http.Server{\n\t\tAddr:        \":8080\",\n\t\tReadTimeout: 10 * time.Second,\n\t}\n",
            "\t\tIdleTimeout: 90 * time.Second,\n\t\tAddr:        \":8080\",\n",
        ),
        (
            "\tsrv := &http.Server{ReadTimeout: 10 * time.Second}\n",
            "{IdleTimeout: 90 * time.Second, ReadTimeout: 10 * time.Second}",
        ),
        (
            "\tidle := 10\n\tsrv := &http.Server{IdleTimeout: time.Duration(idle) * time.Second}\n",
            "\tidle := 90\n",
        ),
        (
            "\td, _ := time.ParseDuration(\"10s\")\n\tsrv := &http.Server{IdleTimeout: d}\n",
            "time.ParseDuration(\"90s\")",
        ),
    ],
)  # fmt: skip
def test_fix_writes_go(
    server_text: str, fixed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # It heeds the stop signal, so that nothing else is at fault.
    stop = "\tsignal.Notify(c, syscall.SIGTERM)\n\t<-c\n\tsrv.Shutdown(context.Background())\n"
    text = f"{HEAD}func main() {{\n{server_text}\tgo srv.ListenAndServe()\n{stop}}}\n"
    root = tree(tmp_path, {"main.go": text})
    assert run(["check", root]) == 1
    assert "backend-keepalive-below-lb-idle" in capsys.readouterr().out
    assert run(["fix", root, "--write"]) == 0
    assert fixed in (tmp_path / "app" / "main.go").read_text()
    capsys.readouterr()
    assert "backend-keepalive-below-lb-idle]" not in _checked(root, capsys)


def _checked(root: str, capsys: pytest.CaptureFixture[str]) -> str:
    run(["check", root])
    return capsys.readouterr().out


def test_default_of_a_framework_is_a_default(tmp_path: Path) -> None:
    text = f'package main\n\nimport "{ECHO_5}"\n\nfunc main() {{ e := echo.New(); e.Start("") }}\n'
    idle = server(tree(tmp_path, {"main.go": text})).settings[Role.SERVER_IDLE]
    assert isinstance(idle, Default)
