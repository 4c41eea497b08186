#!/usr/bin/env bash
# Installs those packages of packages.txt that this Debian or Ubuntu machine lacks; none missing, nothing done.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for package in $(sed 's/#.*//' packages.txt); do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update --quiet --quiet
"${as_root[@]}" apt-get install --quiet --quiet --yes --no-install-recommends "${missing[@]}"

# The lab and the tests start their own; Debian's would keep the port.
for service in docker-registry redis-server; do
    case " ${missing[*]} " in
    *" $service "*)
        if [ -d /run/systemd/system ]; then "${as_root[@]}" systemctl disable --now --quiet "$service"; fi
        ;;
    esac
done
