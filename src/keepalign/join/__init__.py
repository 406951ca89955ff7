"""Fragments and defaults become request paths: the only place where hops are joined, with evidence.

load         roots → readers → join: what `check`, `fix` and `prove` start from
declared     what people declare: endpoints, a balancer in front, what builds a container
paths        balancer → target group → service → container → backend: the request paths of a stack
resources    which Terraform resources belong together, within a root module and across them
forwarding   which endpoints listener rules forward to a target group
kubernetes   Ingress → Service → pods → containers: the request paths of manifests
kubernetes_objects   which object of the manifests another one means
kubernetes_rules     the rules of Ingresses, as those of a listener
kubernetes_hops      balancers, ingress-nginx and pods as hops and lifecycles
loose        servers that no service of the tree puts behind a balancer
stacks       projects of Docker Compose: where requests come in, and which only stand in for what is deployed
ways         the paths through one target, and the target as the lab runs it
containers   what runs in a container: image → Dockerfile → entrypoint → command line → product
program      Program, what was found to run; Start, what it is told from
scripts      entrypoint and CMD, and what the scripts that they name end in
servers      which server a command line or an image names
supervised   what supervisord runs in a container
confs        which file of the tree an application server opens
packages     what a Node.js image starts
apache_conf, nginx_conf, proxies   which configuration of a web server an image holds
mounted      configuration of web servers that lies over the image: a pod's ConfigMaps
images       which Dockerfile builds an image, and which files it copies
routes       which host of a web server answers, and what is behind its routes
hops         one process with its settings
nginx        nginx as a hop: what it keeps, and what it sends again
lifecycles   how targets start and end
names        names that are unique within one run
settings     a reader's Absent becomes the product's documented default
"""

from keepalign.join.load import Loaded, load_stack

__all__ = ["Loaded", "load_stack"]
