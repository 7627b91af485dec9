# Two commands set everything up: `make quickstart` and `make test`. Both create or reuse .venv.
# README.md writes the same steps out for those without make.

PYTHON ?= python3
VENV ?= .venv
VENV5 ?= .venv-transformers5
BIN := $(VENV)/bin
BIN5 := $(VENV5)/bin
# Two processes, each with whole files of tests, whose fixtures are shared.
TOGETHER := -n 2 --dist loadfile

.PHONY: quickstart test test-learning test-transformers5 check clean

quickstart: $(VENV)/installed
	$(BIN)/adapterx run recipes/quickstart.yaml

test: $(VENV)/installed
	$(BIN)/python -m pytest $(TOGETHER)

# Whole recipes, minutes each: every method and transfer learns what it is given.
test-learning: $(VENV)/installed
	$(BIN)/python -m pytest tests/learning -m slow

# The fused lane with the newest transformers 5, and without `adapters`, whose pin must never become a cage.
test-transformers5: $(VENV5)/installed
	$(BIN5)/python -m pytest $(TOGETHER) tests/backbones tests/methods tests/engine tests/executors tests/end_to_end

check: $(VENV)/installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) $(VENV5) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[adapterhub,dev]'
	touch $@

$(VENV5)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV5)
	grep -v -E '^(transformers|huggingface_hub|tokenizers|hf-xet|adapters)==' constraints.txt > $(VENV5)/constraints.txt
	$(BIN5)/python -m pip install -q --disable-pip-version-check -c $(VENV5)/constraints.txt -e '.[dev]' 'transformers>=5,<6'
	touch $@
