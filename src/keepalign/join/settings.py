"""A reader's Absent becomes the product's documented default."""

from __future__ import annotations

from keepalign.defaults import load
from keepalign.model.path import Product
from keepalign.model.setting import Setting
from keepalign.readers._reader import Absent, Read


def effective(read: Read, product: Product, *, default_option: str = "", version: str = "") -> Setting:
    """What holds: `read` when somebody wrote it, else the default of `default_option` (or its own option) in
    `version`."""
    if isinstance(read, Absent):
        return load(product).setting(default_option or read.option, version=version, site=read.site)
    return read
