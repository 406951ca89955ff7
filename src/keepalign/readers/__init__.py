"""Readers: one product or format per file. Text in, a Fragment with byte spans out, or a ReadError.

_reader           what every reader promises; Word, CommandLine, Absent
_fragments        what the single-file readers return
_files            which files lie below the roots, each once
tree              hands each file to its reader: the one place that opens files
terraform         root modules of HCL
apache_httpd      httpd.conf and what it includes
nginx             nginx.conf and what it includes, or pieces of one
dockerfile        the last stage of a Dockerfile
shell             words of a command line; entrypoint scripts
gunicorn          a gunicorn command line
requirements_txt  pinned versions of packages
keepalign_toml    what is declared
"""
