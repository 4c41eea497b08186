# The gateway in front of the engines, without PyTorch: its settings mounted at /etc/wxops/gateway.yaml. docs/gateway.md
# has the rest.
#
# The base brings python3 (3.11 or later) with venv. Libraries come from PyPI, or, on a closed network, from wheels put
# into wheelhouse/ beside this file (README.md says how) and then from nowhere else.
ARG BASE=python:3.11-slim-bookworm


# The libraries are a layer of their own: a change of the gateway is a small push and pull.
FROM ${BASE} AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/wxruntime
# The pattern matches the folder where it exists; COPY of a plain name would insist on it.
COPY wheelhous[e] pyproject.toml /build/wheelhouse/
WORKDIR /build
# Of the package's own needs those that the gateway imports, and its extras.
RUN if ls wheelhouse/*.whl >/dev/null 2>&1; then \
        printf '[global]\nno-index = true\nfind-links = /build/wheelhouse\n' >/etc/pip.conf; \
    fi \
    && python3 -c 'import re, tomllib; \
project = tomllib.load(open("wheelhouse/pyproject.toml", "rb"))["project"]; \
own = [each for each in project["dependencies"] if re.match("click|cryptography|prometheus|pydantic|pyyaml", each)]; \
print(*own, *(each for extra in ("gateway", "edge", "redis", "tracing") for each in project["optional-dependencies"][extra]), sep="\n")' \
        >needs.txt \
    && /opt/wxruntime/bin/pip install --no-compile --requirement needs.txt hatchling


FROM libraries AS server
COPY pyproject.toml README.md ./
COPY wxruntime wxruntime
# The import proves that nothing is missing.
RUN /opt/wxruntime/bin/pip install --no-deps --no-build-isolation --prefix=/server . \
    && PYTHONPATH="$(echo /server/lib/python3*/site-packages)" PYTHONDONTWRITEBYTECODE=1 \
        /opt/wxruntime/bin/python -c 'import wxruntime.gateway.serve, wxruntime.gateway.edge, wxruntime.gateway.center'


FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin wxruntime
COPY --from=libraries /opt/wxruntime /opt/wxruntime
COPY --from=server /server /opt/wxruntime
# WXRUNTIME_PORT is where the health check asks: the port of listen.probes, at which 127.0.0.1 must be on the allowlist.
ENV PATH=/opt/wxruntime/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WXRUNTIME_CONFIG=/etc/wxops/gateway.yaml \
    WXRUNTIME_PORT=8081
USER 10001:10001
EXPOSE 8080 8081
# Healthy means ready: an engine behind it has made a token, and no drain is under way.
HEALTHCHECK --interval=5s --timeout=10s --start-period=5m --retries=3 CMD ["wxruntime", "healthcheck"]
ENTRYPOINT ["wxruntime"]
CMD ["gateway"]
