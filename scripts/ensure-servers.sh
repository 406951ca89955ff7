#!/bin/sh
# The servers that the lab runs for real. Installs Apache's program (never a service) where it may,
# else names what is missing in one line. Nothing is started here.
set -u

have_apache() {
    command -v apache2 >/dev/null 2>&1 || command -v httpd >/dev/null 2>&1 || [ -x /usr/sbin/apache2 ]
}

have_apache && exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    # apache2-bin holds the program and its modules; the apache2 package would also start a service.
    log=$(mktemp)
    if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends apache2-bin; } >"$log" 2>&1 && have_apache; then
        rm -f "$log"
        exit 0
    fi
    tail -n 3 "$log" >&2
    rm -f "$log"
fi
echo "keepalign: Apache httpd 2.4 is missing; install it (Debian, Ubuntu: apt-get install --no-install-recommends apache2-bin) and call make again" >&2
exit 1
