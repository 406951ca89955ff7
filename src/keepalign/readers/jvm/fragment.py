"""What a Java project says of the server that it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keepalign.model.path import Product
from keepalign.readers.projects import ProjectFragment


@dataclass(frozen=True, slots=True)
class TomcatFragment(ProjectFragment):
    """Tomcat, embedded by Spring Boot or by itself."""

    product: ClassVar[Product] = Product.TOMCAT


@dataclass(frozen=True, slots=True)
class JettyFragment(ProjectFragment):
    """Jetty as Spring Boot embeds it."""

    product: ClassVar[Product] = Product.JETTY


@dataclass(frozen=True, slots=True)
class UndertowFragment(ProjectFragment):
    """Undertow as Spring Boot embeds it."""

    product: ClassVar[Product] = Product.UNDERTOW


@dataclass(frozen=True, slots=True)
class ReactorNettyFragment(ProjectFragment):
    """Reactor Netty as Spring Boot embeds it for WebFlux."""

    product: ClassVar[Product] = Product.REACTOR_NETTY
