#!/bin/sh
# The optional compiled loop of `keepalign diagnose`, built in place. Without a C compiler there is none, and
# Python does the same more slowly: that is no error.
set -u

source=src/keepalign/logs/_scanner.c
library=src/keepalign/logs/_scanner.so
cc=${CC:-cc}

command -v "$cc" >/dev/null 2>&1 || exit 0
[ "$library" -nt "$source" ] && exit 0
unfinished=$library.$$
if "$cc" -std=c99 -O2 -fPIC -shared -o "$unfinished" "$source" 2>/dev/null; then
    mv "$unfinished" "$library"
else
    rm -f "$unfinished"
fi
exit 0
