"""`python -m keepalign`."""

from keepalign.cli import main

main()
