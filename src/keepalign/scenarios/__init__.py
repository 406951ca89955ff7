"""Scenarios: per cause a small stack that fails and its cure, run by the lab with real servers.

    <slug>.toml   stack, traffic, events; named by the cause that it shows
    scenario      what such a file says, as data
    reader        TOML in, a Scenario out, or a ReadError

A file in life's own times (a lab divides them by its scale, except where a key says "as run"):

    title = "…"                       # the fault, in one line
    says = "…"                        # what happens, in a sentence or two
    shows = "502"                     # what users see; "cut": a body ends early; "kill": SIGKILL strikes
    on = "nginx"                      # the server that the tables below describe

    hops = ["web"]                    # which of the hop tables, in order; all of them when absent

    [balancer]                        # an Application Load Balancer, by AWS's names
    idle_timeout = "60s"
    deregistration_delay = "300s"

    [hop.web]                         # the hops behind it, nearest first
    product = "nginx"                 # a stem of defaults/
    settings = { server_idle = "5s" } # role to "5s", "off", "unlimited"; else its default
    traits = { }                      # see model.path.Hop
    stop_signal = "SIGQUIT"           # SIGTERM when absent
    stop_timeout = "30s"

    [endpoint.quick]                  # /quick; what its application does
    longest_silence = "0s"
    longest_request = "0s"

    [traffic.quick]                   # requests for /quick
    every = "5s"                      # in life …
    plus = "10ms"                     # … and this much more, as run
    jitter = "6ms"                    # ±, as run
    size = 20                         # requests at one instant
    run_for = "6s"                    # as run

    [event.stop]
    what = "stop_task"                # or "deploy"
    at = "2s"                         # after the load began, as run

    [fixed.hop.web.settings]          # what the cure changes: laid over the tables above
    server_idle = "75s"

    [server.apache-event.hop.web]     # the same on another server: laid over the tables above
    product = "apache_httpd"
"""

from __future__ import annotations

from keepalign.scenarios.reader import load, names, read
from keepalign.scenarios.scenario import Case, Event, Scenario, Traffic

__all__ = ["Case", "Event", "Scenario", "Traffic", "load", "names", "read"]
