"""The logs of the servers behind the balancer, as second witnesses.

_line         what the forms share: a line as understood, its times
access_log    common, combined, vhost_combined and what stands behind them; formats as text, compiled
json_lines    access logs as JSON lines: nginx, Envoy, others
envoy         Envoy's default format and its response flags
nginx_error, apache_error, python_error   the error logs
interest      what the balancer's error rows ask for: near which minutes, which paths
zones         the zone of times that are written without one
files         Witness → Statement: each line told, silent, blank, continued or rejected
joined        balancer rows ↔ testimonies, clocks set right
opinions      a row and its testimonies → Opinion
"""
