"""The lab: real sockets, real clocks, real servers on loopback.

    clock       the one place that reads clocks: the loop's time as an Instant
    lag         how late the balancer's process, and the servers', acted all along a run
    loop        an event loop whose timers keep microseconds, and `run`
    wire        the virtual wire to a target: what leaves and what arrives is late by its latency
    client      a client connection of the balancer
    health      one health check of a target
    balancer    drives the sans-IO balancer machine: listener, target connections, probes, access log
    arrivals    schedules of requests, made ahead from a seed
    response    the load generator's reader of responses
    load        the open-loop load generator
    scale       how much faster than life a stack can be run
    recipes     how each server is run with the user's own configuration and flags
    servers     how each server is run from the settings of a hop alone
    supervisor  real processes that cannot outlive the run (`_supervisor_main` is the program that owns them)
    tasks       the tasks of a target: folders, ports, one process per container
    hop_tasks   tasks made from the hops of a path, one process per hop
    service     drives the sans-IO deployment machine over such tasks
    experiment  one run: balancer, tasks, load and a rolling deploy; out comes a Trace

Here only what the lab did or saw is recorded. Rules and verdicts live in other rooms.
"""
