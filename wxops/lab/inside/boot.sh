#!/bin/sh
# Runs once before sysinit.target: makes a lab host behave like a machine of its own.
set -e

# A nested Docker engine creates control groups below this host's own; nspawn mounts the v1 controllers read-only.
mount -o remount,bind,rw /sys/fs/cgroup
for controller in /sys/fs/cgroup/*; do
    if mountpoint -q "$controller"; then mount -o remount,bind,rw "$controller"; fi
done

# net.* belongs to this host's network namespace. The other sysctls are the real machine's, and nspawn mounts them
# read-only: cover them with copies, so that writing one succeeds and changes nothing outside this host.
fake=/run/wxops-lab/sysctl
real=/run/wxops-lab/proc-sys
mkdir -p $fake $real
mount --rbind --make-rprivate /proc/sys $real  # private: what covers the one must not cover the other
for area in fs kernel vm; do
    # Write-only switches (vm.drop_caches) cannot be copied: they become empty files.
    cp -rx /proc/sys/$area $fake/ 2>/dev/null || true
    mount --bind $fake/$area /proc/sys/$area
done
# These are the host's own, or new at each reading.
for name in hostname domainname random; do
    mount --rbind $real/kernel/$name /proc/sys/kernel/$name
done
