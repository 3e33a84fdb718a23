#!/bin/sh
# The system's tools that the tests use as referees and to make traffic; root gets what is missing from Debian.
# No service of theirs is started: where nothing else says so, a policy does while this installs.
set -eu
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
PATH="$PATH:/usr/sbin:/sbin"
POLICY=/usr/sbin/policy-rc.d
need ip iproute2
need ss iproute2
need tc iproute2
need ps procps
need zsh zsh
need fish fish
need setpriv util-linux
need curl curl
need jq jq
need openssl openssl
need prometheus prometheus
need promtool prometheus
need prometheus-node-exporter prometheus-node-exporter
need podman "podman runc netavark iptables"
need chromium chromium
need qemu-s390x-static qemu-user-static
# With the argument "machines": what boots kernels in emulated machines.
if [ "${1:-}" = machines ]; then
    need qemu-system-s390x qemu-system-misc
    need qemu-system-ppc64 qemu-system-ppc
    need qemu-system-x86_64 "qemu-system-x86 seabios"
    need cpio cpio
    need modprobe kmod
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    if [ ! -e "$POLICY" ]; then
        trap 'rm -f "$POLICY"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$POLICY"
        chmod 755 "$POLICY"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    [ ! -d /run/systemd/system ] || for service in prometheus prometheus-node-exporter; do
        case "$missing " in *" $service "*) systemctl disable --quiet "$service" ;; esac
    done
    [ ! -d /run/systemd/system ] || case "$missing " in *" podman "*)
        systemctl disable --quiet podman.socket podman.service podman-restart.service podman-auto-update.timer ;;
    esac
else
    echo "missing:$missing - the tests that need them will fail; install them, for example with apt-get" >&2
fi
