"""Node.js: what a package's files, its npm scripts and a command line say of the server that they start.

_folding   what an expression is worth: constants, arithmetic, the environment
_source    one JavaScript or TypeScript file
reader     a command line with the package that it starts
packages   which files of a tree can matter
"""

from keepalign.readers.nodejs._source import JAVASCRIPT, NodeSource, read_source
from keepalign.readers.nodejs.reader import Package, read_command

__all__ = ["JAVASCRIPT", "NodeSource", "Package", "read_command", "read_source"]
