# Everything a developer or a newcomer does with pypim. `make demo` and `make test` install what they need.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto

.PHONY: install demo test clients slow live check format lock bench bench-report docs clean

install: .venv/installed

.venv/installed: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: install
	sh tools/demo.sh

test: install
	$(BIN)/python -m pytest -n $(WORKERS)

clients: install
	$(BIN)/python -m tools.clients

slow: install
	$(BIN)/python -m pytest -m slow -n $(WORKERS)

live: install
	$(BIN)/python -m pytest -m live -n 0

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade --quiet -o requirements-dev.lock

docs: install
	$(BIN)/python -m tools.reference

bench: install
	$(BIN)/python -m bench

# A row that misses its goal is a finding, and no failure of the report.
bench-report: install
	-$(BIN)/python -m bench --keep
	$(BIN)/python -m bench.page

clean:
	rm -rf .venv .clients .mypy_cache .ruff_cache .pytest_cache demo-mirror demo-venv bench/out
