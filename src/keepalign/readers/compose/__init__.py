"""Docker Compose: the services of a project as containers.

reader     which files are a project; override files, `include`, `extends`, environment files
_services  one service from all that is said of it
_text      interpolation and words, with the bytes behind them
"""

from keepalign.readers.compose._services import ComposeService
from keepalign.readers.compose.reader import ComposeFragment, ComposeReader, projects

__all__ = ["ComposeFragment", "ComposeReader", "ComposeService", "projects"]
