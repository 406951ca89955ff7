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
app_servers       the application server that a command line starts, by one of:
gunicorn          a gunicorn command line with its configuration
uvicorn           a uvicorn command line
hypercorn         a hypercorn command line with its configuration
nodejs            a Node.js command line with the files of its package
python_conf       Python files that configure a server; never executed
hypercorn_toml    TOML files that configure hypercorn
package_json      npm scripts
requirements_txt  pinned versions of packages
keepalign_toml    what is declared
"""
