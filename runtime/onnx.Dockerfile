# The emergency engine: serves the exported ERNIE 4.5 mounted at /models from a CPU over OpenAI's API on port 8000.
# No PyTorch is in it. Make the model with `wxruntime model export CHECKPOINT DIRECTORY --onnx --precision int4`.
#
# The base brings python3 (3.11 or later) with venv. Libraries come from PyPI, or, on a closed network, from wheels put
# into wheelhouse/ beside this file (README.md says how) and then from nowhere else.
ARG BASE=python:3.11-slim-bookworm


# The libraries are a layer of their own: a change of the server is a small push and pull.
FROM ${BASE} AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/wxruntime
# The pattern matches the folder where it exists; COPY of a plain name would insist on it.
COPY wheelhous[e] pyproject.toml /build/wheelhouse/
WORKDIR /build
RUN if ls wheelhouse/*.whl >/dev/null 2>&1; then \
        printf '[global]\nno-index = true\nfind-links = /build/wheelhouse\n' >/etc/pip.conf; \
    fi \
    && python3 -c 'import tomllib; p = tomllib.load(open("wheelhouse/pyproject.toml", "rb"))["project"]; \
print(*p["dependencies"], *p["optional-dependencies"]["onnx"], sep="\n")' >needs.txt \
    && /opt/pip/bin/pip --python /opt/wxruntime install --no-compile --requirement needs.txt
# Out goes what serving never opens. The import proves that the rest stands, and leaves bytecode of that part only.
RUN cd /opt/wxruntime/lib/python3*/site-packages \
    && rm -rf onnxruntime/transformers onnxruntime/quantization onnxruntime/tools onnxruntime/datasets \
    && find numpy -type d -name tests -prune -exec rm -rf {} + \
    && /opt/wxruntime/bin/python -c 'import click, jinja2, onnxruntime, prometheus_client, pydantic, \
starlette.applications, tokenizers, uvicorn'


FROM libraries AS server
COPY pyproject.toml README.md ./
COPY wxruntime wxruntime
RUN /opt/pip/bin/pip --python /opt/wxruntime install --no-deps --prefix=/server .


FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin wxruntime
COPY --from=libraries /opt/wxruntime /opt/wxruntime
COPY --from=server /server /opt/wxruntime
ENV PATH=/opt/wxruntime/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WXRUNTIME_BACKEND=onnx \
    WXRUNTIME_MODEL=/models \
    WXRUNTIME_HOST=0.0.0.0 \
    WXRUNTIME_PORT=8000
USER 10001:10001
EXPOSE 8000
# Healthy means ready: a token has been made. Reading a large model takes a while, and is not a failure.
HEALTHCHECK --interval=5s --timeout=10s --start-period=30m --retries=3 CMD ["wxruntime", "healthcheck"]
ENTRYPOINT ["wxruntime"]
CMD ["engine"]
