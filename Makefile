# Two commands set everything up: `make quickstart` and `make test`. Both create or reuse .venv.
# README.md writes the same steps out for those without make.

PYTHON ?= python3
VENV ?= .venv
VENV5 ?= .venv-transformers5
BIN := $(VENV)/bin
BIN5 := $(VENV5)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' .venv-lock/bin/uv --config-file tools/lock.toml pip compile -q -c constraints.txt
# Three processes for two cores, as some tests wait for others' processes, each with whole files of tests, whose fixtures are shared.
TOGETHER := -n 3 --dist loadfile

# Tests of numbers, again with the instructions of an older processor, whose sums differ in their last bits.
NUMERIC := tests/backbones tests/methods tests/engine tests/reference tests/formats tests/end_to_end/test_retrieval.py
# Those of them whose sums are the engine's own.
OLDER := tests/backbones tests/methods tests/engine tests/reference
AVX2 := ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2
JITTER ?= $(shell date +%s)

.PHONY: quickstart test test-avx2 test-jitter test-fuzz test-slow test-long test-quickstart test-transformers5 check lock clean

quickstart: $(VENV)/installed
	$(BIN)/adapterx run recipes/quickstart.yaml

test: $(VENV)/installed
	$(BIN)/python -m pytest $(TOGETHER)

test-avx2: $(VENV)/installed
	@if grep -q -m1 -w avx512f /proc/cpuinfo; then \
	    $(AVX2) $(BIN)/python -m pytest $(TOGETHER) $(OLDER); \
	else echo "this processor has nothing beyond AVX2: make test has run these tests as they are"; fi

# The weights of random encoders moved by about their last bits, otherwise each time (JITTER=<seed> repeats one).
test-jitter: $(VENV)/installed
	ADAPTERX_TEST_JITTER=$(JITTER) $(BIN)/python -m pytest $(TOGETHER) $(NUMERIC)

# Every key of a recipe and a task with every wrong type, every reader with every broken file; `make test` tries some.
test-fuzz: $(VENV)/installed
	$(BIN)/python -m pytest $(TOGETHER:loadfile=load) tests/fuzz -m 'slow or not slow'

# What takes minutes: whole recipes, in which every method and transfer learns what it is given.
test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile tests -m 'slow and not processors and not long' --ignore tests/fuzz

# What takes longer still: publishing that is killed twenty times, every kernel compiled for a GPU, predictions measured.
test-long: $(VENV)/installed
	$(BIN)/python -m pytest tests -m long

# The quickstart on four kinds of processor: the picture that it draws must not rest on last bits.
test-quickstart: $(VENV)/installed
	$(BIN)/python -m pytest tests/learning/test_quickstart.py -m slow

# The fused lane with the newest transformers 5, and without `adapters`, whose pin must never become a cage: what loads a
# backbone, computes with it, tokenises, or writes what the library reads.
test-transformers5: $(VENV5)/installed
	$(BIN5)/python -m pytest $(TOGETHER) tests/backbones tests/methods tests/engine tests/publish/test_client.py \
	    $(addprefix tests/end_to_end/test_,$(addsuffix .py,run full export extractive_qa retrieval precisions vocabulary \
	    pickled_backbone hub_task fuse transfers))

check: $(VENV)/installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) $(VENV5) .pytest_cache .mypy_cache .ruff_cache

# Every package by its hash, but torch, which each index has in a build of its own (docs/reference/dependencies.md).
$(VENV)/installed: pyproject.toml constraints.txt requirements.lock requirements-build.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps -r requirements-build.lock
	$(PIP) --require-hashes --no-deps --no-build-isolation -r requirements.lock
	$(PIP) -c constraints.txt torch "triton; platform_system == 'Linux'"
	$(PIP) --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	touch $@

$(VENV5)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV5)
	grep -v -E '^(transformers|huggingface_hub|tokenizers|hf-xet|adapters)==' constraints.txt > $(VENV5)/constraints.txt
	PIP_CONSTRAINT=$(VENV5)/constraints.txt \
	    $(BIN5)/python -m pip install -q --disable-pip-version-check -e '.[dev]' 'transformers>=5,<6'
	touch $@

# The hashes of all files that the index has of each version in constraints.txt.
lock: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9
	$(LOCK) tools/lock-build.in -o requirements-build.lock
	$(LOCK) pyproject.toml --extra adapterhub --extra dev -o requirements.lock
