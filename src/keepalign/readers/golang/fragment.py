"""What a Go program says of its server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keepalign.model.path import Product
from keepalign.readers.projects import ProjectFragment


@dataclass(frozen=True, slots=True)
class GoFragment(ProjectFragment):
    """One program: net/http, with or without a framework around it, or fasthttp. `file` holds its server.

    `application` is the folder of its package.
    """

    product: ClassVar[Product] = Product.GO
