# Every target sets up what it needs, and nothing has to be activated. `make help` lists them.
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready

# Options of `make sim`; empty ones are left out.
SIMFLAGS = $(if $(SIMULATOR),--simulator $(SIMULATOR)) $(if $(IMAGES),--images $(IMAGES)) \
           $(if $(STALL),--stall $(STALL)) $(if $(LANES),--lanes $(LANES)) \
           $(if $(filter-out 0,$(WAVES)),--waves)

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage campaign test-icarus sim lint hooks format bench bench-train bench-hw clean distclean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20

setup: $(READY)  ## the virtual environment, from PyPI alone
$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)  ## real digits to verified Verilog; writes build/digits/report/report.html
	$(BIN)/spikewright demo $(ARGS)

test: $(READY)  ## every test that needs nothing beyond PyPI
	$(BIN)/pytest -n auto --dist loadscope -m 'not icarus and not campaign' --durations=10 $(ARGS)

coverage: $(READY)  ## make test, and the share of lines that it runs; takes twice its time
	@mkdir -p build/coverage
	$(MAKE) test ARGS='--cov --cov-report=term --cov-report=html:build/coverage/html $(ARGS)'
	@for part in golden hw model sim spikewright; do \
	    echo "$$part: $$($(BIN)/coverage report --include="$$part/*" --format=total) %"; done

campaign: $(READY)  ## every seed of the tests that make test samples; log in build/campaign
	@mkdir -p build/campaign
	@echo 'writing build/campaign/log.txt'
	@$(BIN)/pytest -v -n auto --dist loadscope -m sample --junitxml=build/campaign/results.xml \
	    $(ARGS) > build/campaign/log.txt 2>&1; \
	    status=$$?; tail -n 20 build/campaign/log.txt; exit $$status

test-icarus: $(READY)  ## the tests on the second simulator; needs Debian's package iverilog
	$(BIN)/pytest -m icarus $(ARGS)

sim: $(READY)  ## NETWORK=file: simulate its Verilog against golden (WAVES=1 SIMULATOR= IMAGES= STALL= LANES=)
	@test -n '$(NETWORK)' || { echo 'usage: make sim NETWORK=file.safetensors' >&2; exit 2; }
	$(BIN)/spikewright verify '$(NETWORK)' $(SIMFLAGS) $(ARGS)

lint: $(READY)  ## ruff, pyright, import directions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --warnings
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q --doctest-modules spikewright

hooks: $(READY)  ## lint before every commit, types before every push
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

format: $(READY)  ## let ruff write the layout
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY)  ## golden engine, cycle model; cycles against work (which needs SPIKEWRIGHT_DATA)
	$(BIN)/python bench/golden_speed.py
	$(BIN)/python bench/cycle_model.py
	$(if $(SPIKEWRIGHT_DATA),$(BIN)/python bench/work_proportional.py)

bench-train: $(READY)  ## training against snnTorch and SpikingJelly, which it installs
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/training_speed.py $(ARGS)

bench-hw: $(READY)  ## the hardware: cycles against the lower bound, utilization; clock and area
	$(BIN)/python bench/hardware_cycles.py
	$(BIN)/python bench/clock_and_area.py

clean:  ## remove what was built; keep the virtual environment
	rm -rf build .pytest_cache .ruff_cache .hypothesis .import_linter_cache results.xml sim_build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## remove the virtual environment too
	rm -rf .venv
