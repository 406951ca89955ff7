"""Readers: one product or format per file. Text in, a Fragment with byte spans out, or a ReadError.

_reader           what every reader promises; Word, CommandLine, Absent
_fragments        what the single-file readers return
_files            which files lie below the roots, each once
_gitignore        which folders git ignores
_unused           files that could not be used: notes, or the end of the reading
_shown            what is written, without passwords
_opened           the one place that opens configuration
_gathering        files that say something only together
tree              hands each file to its reader
_aws              what every description of AWS resources comes to
terraform         root modules of HCL and JSON, plans
cloudformation    templates, and what CDK makes of its source
cdk               CDK source in TypeScript, JavaScript and Python
apache_httpd      httpd.conf and what it includes
nginx             nginx.conf and what it includes, or pieces of one
haproxy           HAProxy configuration, of one file or several
envoy             Envoy's bootstrap and its files of resources
traefik           Traefik's static configuration and the files of its file provider
caddy             a Caddyfile and what it imports, or Caddy's JSON
_proxies          which files of those four belong together
_requests         which requests get to a place, as the rules of those four have it
_conf_words       words of HAProxy's files and Caddyfiles
_toml             TOML as nodes with their places
kubernetes        manifests: Ingresses, Services, pods and their ConfigMaps
compose           projects of Docker Compose
ecs_json          task definitions of ECS as JSON
procfile          the processes of a Procfile
supervisord       the programs that supervisord runs
dotenv            environment files; never shown
dockerfile        the last stage of a Dockerfile
shell             words of a command line; entrypoint scripts
app_servers       the application server that a command line starts, by one of:
gunicorn          a gunicorn command line with its configuration
uvicorn           a uvicorn command line
hypercorn         a hypercorn command line with its configuration
nodejs            a Node.js command line with the files of its package
projects          servers that are configured in sources and properties, one of:
golang            net/http, fasthttp and the frameworks on them
jvm               Spring Boot, and Tomcat's server.xml
dotnet            Kestrel
ruby              Puma
uwsgi             uWSGI's INI files and flags
php_fpm           pools of PHP-FPM
_stages           all stages of a Dockerfile
_yaml             YAML and JSON as nodes with their places
_ini              INI files as pairs with their places
python_conf       Python files that configure a server; never executed
hypercorn_toml    TOML files that configure hypercorn
package_json      npm scripts
requirements_txt  pinned versions of packages
keepalign_toml    what is declared
"""
