# Two commands: `make demo` and `make test`. Both set up .venv first, from pinned versions.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := jax pfl
SIDE_BY_SIDE := -n 2 --dist loadfile
FLEETS := base cohort engine

FUZZ ?= 50000

.PHONY: demo test test-all fuzz lint types check docs docs-serve reference bench bench-peers \
  bench-forest clean

demo: $(READY)
	$(BIN)/wearfleet run scenarios/personalized_vs_shared.toml

test: $(READY) lint types check

test-all: $(READY) lint types
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "exhaustive or not exhaustive"

# Malformed inputs through all readers; `make fuzz FUZZ=5000` gives fewer.
fuzz: $(READY)
	WEARFLEET_FUZZ=$(FUZZ) $(BIN)/pytest tests/fuzz

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# In two processes, of which each keeps what TensorFlow compiled for it: some at a time, as that fills memory.
check: $(READY)
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/clients tests/server tests/fuzz tests/test_*.py
	$(BIN)/pytest $(SIDE_BY_SIDE) $(FLEETS:%=tests/simulator/%)
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/simulator $(FLEETS:%=--ignore=tests/simulator/%)

# The pages of docs/ as a site in build/docs; a test builds it too, and checks its links.
docs: $(READY)
	$(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/docs 8000

# The tables of scenario keys and the JSON Schema, from the schema by which files are checked.
reference: $(READY)
	$(BIN)/python -m simulator.scenario.reference

# Wearfleet beside other simulators; BENCH="--sizes 100 --workloads w1" measures less.
bench: $(READY)
	$(BIN)/python -m benchmarks.speed $(BENCH)

bench-peers: $(PEERS:%=.venv-peers/%/.ready)

# scikit-learn for benchmarks/learning_curve.py.
bench-forest: .venv-peers/forest/.ready

.venv-peers/%/.ready: benchmarks/requirements/%.txt
	$(PYTHON) -m venv --clear .venv-peers/$*
	.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Wearfleet needs Python 3.11 to 3.13; give one: make PYTHON=python3.12 ..."; exit 2; }
	@echo "Setting up .venv: TensorFlow, Flower and Ray are large (3.3 GB), this takes two to five silent minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

clean:
	rm -rf .venv .venv-peers .pytest_cache .mypy_cache .ruff_cache build *.egg-info
