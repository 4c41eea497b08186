#!/bin/sh
# Measures wxops and its peers on real hosts in one run, about 15 minutes; prints tables. Needs root, as every lab does.
# `scripts/bench.sh pyinfra` compares with that peer alone.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/python -m bench "$@"
