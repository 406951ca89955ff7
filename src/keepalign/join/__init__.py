"""Fragments and defaults become request paths: the only place where hops are joined, with evidence.

load         roots → readers → join: what `check`, `fix` and `prove` start from
containers   what runs in a container: image → Dockerfile → entrypoint → command line → product
paths        balancer → target group → service → container → backend: the request paths of a stack
settings     a reader's Absent becomes the product's documented default
"""

from keepalign.join.load import Loaded, load_stack

__all__ = ["Loaded", "load_stack"]
