#!/bin/sh
# The servers that the lab runs for real. Installs their programs (never a service) where it may, else names
# what is missing, a line each. Nothing is started here.
set -u

have() { # any of the names, also in the folders that an ordinary user's PATH may lack
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return 0
        for folder in /usr/sbin /usr/local/sbin /sbin; do
            [ -x "$folder/$name" ] && return 0
        done
    done
    return 1
}

# The packages that hold programs and modules alone: others would also start a service.
missing() {
    have apache2 httpd || echo apache2-bin
    have nginx || echo nginx-light
    have node || echo nodejs
    # Spark's tests alone; they fail without it only where every server is required.
    [ "${KEEPALIGN_REQUIRE_SERVERS:-}" != 1 ] || have java || echo openjdk-17-jre-headless
}

[ -z "$(missing)" ] && exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    log=$(mktemp)
    # A policy that refuses to start services: nginx's package would start one where an init runs.
    policy=/usr/sbin/policy-rc.d
    made=
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=yes; }
    # shellcheck disable=SC2046 # one word a package
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(missing); } >"$log" 2>&1
    [ -n "$made" ] && rm -f "$policy"
    [ -n "$(missing)" ] && tail -n 3 "$log" >&2
    rm -f "$log"
fi

[ -z "$(missing)" ] && exit 0
echo "keepalign: servers are missing: $(missing | tr '\n' ' '); install them (Debian, Ubuntu: apt-get install --no-install-recommends $(missing | tr '\n' ' ')) and call make again" >&2
exit 1
