"""Manifests for the tests of the join, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keepalign import rules
from keepalign.fix.repair import repair
from keepalign.join import Loaded, load_stack
from keepalign.model.lifecycle import Lifecycle
from keepalign.model.path import RequestPath
from keepalign.model.setting import Setting, value_of

GUNICORN = '["gunicorn", "-k", "gthread", "--bind", ":8000", "app:app"]'


def ingress(
    name: str = "web",
    *,
    service: str = "web",
    kind: str = "alb",
    annotations: str = "",
    path: str = "/",
    port: str = "number: 80",
    namespace: str = "",
    host: str = "",
) -> str:
    lines = "".join(f"    {line}\n" for line in annotations.splitlines())
    return f"""\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: {namespace or '""'}
  annotations:
    example.com/owner: shop
{lines}spec:
  ingressClassName: {kind}
  rules:
    - host: {host or '""'}
      http:
        paths:
          - path: {path}
            pathType: Prefix
            backend:
              service:
                name: {service}
                port:
                  {port}
---
""".replace('    - host: ""\n      http:', "    - http:")


def service(name: str = "web", *, selects: str = "", target: str = "8000", more: str = "") -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  {more}
  selector: {{app: {selects or name}}}
  ports:
    - {{name: http, port: 80, targetPort: {target}}}
---
"""


def deployment(
    name: str = "web", *, containers: str = "", spec: str = "", more: str = "", kind: str = ""
) -> str:
    only = (
        f"{{name: {name}, image: registry/{name}:1, command: {GUNICORN}, ports: [{{containerPort: 8000}}]}}"
    )
    return f"""\
apiVersion: apps/v1
kind: {kind or "Deployment"}
metadata:
  name: {name}
spec:
  {more}
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}, tier: backend}}
    spec:
      {spec}
      containers:
        - {containers or only}
---
"""


def app(name: str, command: str, *, more: str = "") -> str:
    return f"{{name: {name}, image: registry/{name}:1, command: {command}{', ' if more else ''}{more}}}"


def loaded(
    folder: Path, *manifests: str, files: Mapping[str, str] | None = None, in_front: str = ""
) -> Loaded:
    """The stack of manifests in one folder, with `files` beside them."""
    for name, text in {"k8s/all.yaml": "".join(manifests), **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load_stack([str(folder)], in_front=[in_front] if in_front else [])


def the_path(stack: Loaded) -> RequestPath:
    (path,) = stack.stack.paths
    return path


def seconds(setting: Setting | None) -> float:
    value = value_of(setting)
    assert value is not None, setting
    return value.seconds


def life(path: RequestPath) -> Lifecycle:
    assert path.lifecycle is not None
    return path.lifecycle


def findings(stack: Loaded) -> list[str]:
    return sorted({finding.cause for finding in rules.check(stack.stack).findings})


def mended(stack: Loaded) -> Mapping[str, bytes]:
    """The files that `fix` changes."""
    return repair(stack.stack, stack.sources, lambda overlay: stack.reread(overlay).stack).changed


ALB = "alb.ingress.kubernetes.io/"
IP = f"{ALB}target-type: ip"


ROWS = """name: web
          image: registry/web:1
          args:
            - gunicorn
            - -kgthread
            - --bind=:8000
            - app:app
          ports: [{name: http, containerPort: 8000}]"""


CONF = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: conf
data:
  nginx.conf: |
    events {}
    http {
      keepalive_timeout 20s;
      include /etc/nginx/conf.d/*.conf;
    }
  default.conf: |
    server {
      listen 8080;
      location / { proxy_pass http://127.0.0.1:8000; }
      location /api { proxy_pass http://api:80; }
    }
---
"""
WITH_NGINX = f"""name: nginx
          image: nginx:1.27
          ports: [{{name: http, containerPort: 8080}}]
          volumeMounts:
            - {{name: conf, mountPath: /etc/nginx/nginx.conf, subPath: nginx.conf}}
            - {{name: conf, mountPath: /etc/nginx/conf.d/default.conf, subPath: default.conf}}
        - {app("app", GUNICORN)}
      volumes: [{{name: conf, configMap: {{name: conf}}}}]"""


NGINX = "nginx.ingress.kubernetes.io/"


def nginx_conf(data: str) -> str:
    lines = "".join(f"  {line}\n" for line in data.splitlines())
    return (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ingress-nginx-controller\n"
        f"  namespace: ingress-nginx\ndata:\n  proxy-body-size: 50m\n{lines}---\n"
    )


CONTROLLER = """\
apiVersion: v1
kind: Service
metadata:
  name: ingress-nginx-controller
  namespace: ingress-nginx
  annotations: {service.beta.kubernetes.io/aws-load-balancer-type: nlb}
spec:
  type: TYPE
  selector: {app.kubernetes.io/name: ingress-nginx}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: ingress-nginx}}
  template:
    metadata: {labels: {app.kubernetes.io/name: ingress-nginx}}
    spec:
      containers:
        - name: controller
          image: registry.k8s.io/ingress-nginx/controller:v1.11.2@sha256:0123
          args: [/nginx-ingress-controller, --configmap=$(POD_NAMESPACE)/custom]
          ports: [{name: http, containerPort: 80}]
---
"""
