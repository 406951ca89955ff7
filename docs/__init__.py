"""The documentation. `python -m docs.generate` writes what is generated and committed."""
