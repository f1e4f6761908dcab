PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
JOBS ?= 2

.PHONY: setup demo test slow lint docs format clean

setup: .venv/installed        ## virtual environment with everything, at the tested versions
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: setup                   ## the main job: Hooke's law out of simulated particles
	$(BIN)/gnn-distill

test: setup                   ## the fast tests, a thread each in JOBS processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS)

slow: setup                   ## the long ones: recovery of every law, kills, hostile input
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup                   ## the documentation as a static site in site/; a warning is an error
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build site dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
