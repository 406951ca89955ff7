"""What a .NET project says of its server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keepalign.model.path import Product
from keepalign.readers.projects import ProjectFragment


@dataclass(frozen=True, slots=True)
class KestrelFragment(ProjectFragment):
    """Kestrel with the host around it. `version` is that of .NET."""

    product: ClassVar[Product] = Product.KESTREL
