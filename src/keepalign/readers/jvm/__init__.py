"""Java: Spring Boot with Tomcat, Jetty, Undertow or Reactor Netty inside, and Tomcat by itself.

_build       pom.xml and Gradle scripts: which server, which version
_properties  application.properties and application.yml as properties with places
_times       lengths of time as Spring Boot reads them
_settings    which of all places wins: files, profiles, environment, arguments
server_xml   Tomcat's connectors
_tomcat      an image of Tomcat
project      an image with its project
"""

from keepalign.readers.jvm.fragment import (
    JettyFragment,
    ReactorNettyFragment,
    TomcatFragment,
    UndertowFragment,
)
from keepalign.readers.jvm.project import JvmReader

__all__ = ["JettyFragment", "JvmReader", "ReactorNettyFragment", "TomcatFragment", "UndertowFragment"]
