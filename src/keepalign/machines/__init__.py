"""State machines without I/O: bytes and `now` go in; commands, records and the next deadline come out.

    commands      what a driver shall do next
    http1         heads and bodies of HTTP/1.1 messages
    pool          idle connections to one target
    target_group  registration, health, draining, choice of a target
    balancer      an AWS Application Load Balancer with one listener and one target group
    access_log    the balancer's log line, 34 fields
    deployment    an ECS service's rolling update

No clock, no socket, no randomness here (`tests/test_imports.py` and ruff hold it). Ties at one instant are
settled by insertion order, so a run repeats exactly.
"""
