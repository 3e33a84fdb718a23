#!/bin/sh
# The system's tools that the tests use as referees and to make traffic; root gets what is missing from Debian.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
PATH="$PATH:/usr/sbin:/sbin"
need ip iproute2
need ss iproute2
need tc iproute2
need ps procps
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
else
    echo "missing:$missing - the tests that need them will fail; install them, for example with apt-get" >&2
fi
