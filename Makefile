# `make demo` and `make test` need Python 3.11 or newer, cargo and a C compiler, and set up the rest:
# a virtual environment in .venv, made anew only when pyproject.toml changes.

SHELL = /bin/sh
VENV = .venv
BIN = $(VENV)/bin
PYTHONS = $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11

# Make's own variables would reach cargo, which then looks for a job server that is not there.
RUN = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL

# One more than newcomers have processors: whoever waits for a compiler leaves one to the others.
WORKERS = 3

# What a shell has set for Python and pytest is not part of the tests; tests/surroundings.py sees to
# all the rest. Work is stolen rather than dealt out, so that what a module makes is made once.
TESTS = $(RUN) -u PYTEST_ADDOPTS -u PYTEST_PLUGINS -u PYTHONWARNINGS -u PYTHONOPTIMIZE -u PYTHONPATH \
	-u PYTHONDONTWRITEBYTECODE LC_ALL=C.UTF-8 $(BIN)/python -m pytest
PARALLEL = -n $(WORKERS) --dist worksteal
# What one workspace was built for stays together.
GROUPS = -n 2 --dist loadgroup

.PHONY: help demo test test-all corpus corpus-table report races check format benchmark degradation screenshots matrix architecture \
	clean

help:
	@echo 'make demo       look at buildperm: records, decides and enforces on the bundled workspace'
	@echo 'make test       run the tests: each feature, in some minutes'
	@echo 'make test-all   run them and all others: whole tables, the attacks, races, real crates'
	@echo 'make corpus     run only those that build real crates from the registry (some minutes)'
	@echo 'make corpus-table  try all crates of corpus/ that were not tried yet, and write docs/corpus.md (hours)'
	@echo 'make report     count the results of corpus/ anew into docs/report.md and rfc.md (builds nothing)'
	@echo 'make races      run only those that race paths in 100,000 calls of each kind (some minutes)'
	@echo 'make check      format, lint, layers, types'
	@echo 'make format     rewrite the sources as `make check` wants them'
	@echo 'make benchmark  measure against strace and plain cargo (some minutes)'
	@echo 'make degradation  write what is open on older kernels into SECURITY.md, by trying'
	@echo 'make screenshots  draw the pictures and the story in screenshots/ anew, from real builds'
	@echo 'make matrix     run the attacks of tests/redteam, and write what came of them into SECURITY.md'
	@echo 'make architecture  write contracts and modules into ARCHITECTURE.md'
	@echo 'make clean      remove everything that was made'

demo: $(VENV)/.demo needs-cargo
	@$(RUN) $(BIN)/buildperm demo

test: $(VENV)/.test needs-cargo
	$(TESTS) $(PARALLEL) -m 'not slow and not matrix and not corpus and not races' $(PYTEST)

# What `make test` has run is not run again: make knows that it has, in `make test test-all` as well.
test-all: test
	$(TESTS) $(PARALLEL) -m '(slow or matrix) and not corpus and not races' $(PYTEST)
	$(TESTS) -m races $(PYTEST)
	$(TESTS) $(GROUPS) -m corpus $(PYTEST)

corpus: $(VENV)/.test needs-cargo
	$(TESTS) $(GROUPS) -m corpus $(PYTEST)

corpus-table: $(VENV)/.test needs-cargo
	$(RUN) $(BIN)/python -m corpus

report: $(VENV)/.test
	$(RUN) $(BIN)/python -m corpus.report --write

races: $(VENV)/.test needs-cargo
	$(TESTS) -m races $(PYTEST)

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/.test needs-cargo
	$(RUN) $(BIN)/python benchmarks/recording.py
	$(RUN) $(BIN)/python benchmarks/building.py
	$(RUN) $(BIN)/python benchmarks/startup.py

degradation: $(VENV)/.test
	$(RUN) $(BIN)/python benchmarks/degradation.py --write

# Real builds first: what they did is kept beside the pictures, without what differs from run to run.
screenshots: $(VENV)/.test needs-cargo
	$(RUN) $(BIN)/python -m screenshots.record screenshots/inputs >/dev/null 2>&1
	$(RUN) $(BIN)/python -m screenshots.draw screenshots

# As root, or else what only root can try is missing.
matrix: $(VENV)/.test needs-cargo
	$(RUN) $(BIN)/python tests/redteam/attack_matrix.py

architecture: $(VENV)/.test
	$(RUN) $(BIN)/python tests/architecture.py

clean:
	rm -rf $(VENV) build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache examples/target tests/crates/target \
		tests/crates/native/target tests/crates/system/target
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The command alone; what `make test` installs is enough for it too.
$(VENV)/.demo: $(BIN)/python pyproject.toml
	@if test $(VENV)/.test -nt pyproject.toml; then :; else \
		echo 'Installing buildperm into $(VENV)'; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .; \
	fi
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	@echo 'Installing buildperm and what its tests need into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# A version manager's `python3.13` may exist and yet only print an error: hence each one is asked.
$(BIN)/python:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$python"; \
			rm -rf $(VENV); \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo 'The module venv does not work. On Debian and Ubuntu: apt install python3-venv' >&2; \
			exit 1; \
		fi; \
	done; \
	echo 'buildperm needs Python 3.11 or newer. Name one: make PYTHON=/path/to/python3.11 …' >&2; \
	exit 1

.PHONY: needs-cargo
needs-cargo:
	@cargo --version >/dev/null 2>&1 \
		|| { echo 'cargo does not work here. See https://rustup.rs' >&2; exit 1; }
	@cc --version >/dev/null 2>&1 || clang --version >/dev/null 2>&1 \
		|| { echo 'No C compiler. On Debian and Ubuntu: apt install build-essential' >&2; exit 1; }
