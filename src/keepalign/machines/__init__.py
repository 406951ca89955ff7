"""State machines without I/O: bytes and `now` go in; commands, records and the next deadline come out.

    commands      what a driver shall do next
    http1         heads of HTTP/1.1 messages, and their desync class
    bodies        where a body ends, counted without keeping it
    forwarding    the headers that a balancer rewrites on the way to a target
    error_pages   the balancer's own answers, to the byte
    pool          idle connections to one target
    target_group  registration, health, draining, choice of a target
    balancer      an AWS Application Load Balancer with one listener and one target group
    balancer_config  its attributes, and the policies where AWS documents nothing
    access_log    the balancer's log line, 34 fields
    service       what an ECS service is made of, and what its scheduler asks for
    deployment    the scheduler: a rolling update, task by task

No clock, no socket, no randomness here (`tests/test_imports.py` and ruff hold it). Ties at one instant are
settled by insertion order, so a run repeats exactly.
"""
