"""Go: what the source of the program that an image is built from says of its server.

_syntax     one file as a tree
_durations  the constants of package time
_folding    what an expression is worth: constants, flags, the environment
_servers    the servers that files start, and how they end them
_modules    which files make the program: go.mod, `go build`, imports
project     an image with its program
"""

from keepalign.readers.golang.fragment import GoFragment
from keepalign.readers.golang.project import GoReader

__all__ = ["GoFragment", "GoReader"]
