"""ASP.NET Core: what the project that an image is built from says of Kestrel.

_timespan  TimeSpan as text
_source    one C# file
project    an image with its project and its appsettings
"""

from keepalign.readers.dotnet.fragment import KestrelFragment
from keepalign.readers.dotnet.project import DotnetReader

__all__ = ["DotnetReader", "KestrelFragment"]
