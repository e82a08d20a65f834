PYTHON ?= python3.11
BIN := .venv/bin
ALL := .[synthcity,great,realtabformer,forestflow,search,slurm,dev]
PEERS = $(or $(HARMONIC_PEERS),.peers)
WORKERS ?= 2
# The number of test files that run at once, each on one core and with about 2 GB of memory.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-oldest test-newest check check-gpu coverage docs bench tables audit clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed  ## Create .venv with everything in it, the tested versions

.venv/.installed: pyproject.toml constraints.txt
	@echo "setting up .venv: about five minutes, 8 GB of disk"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--editable '$(ALL)' > .venv/pip.log 2>&1 \
		|| { cat .venv/pip.log; exit 1; }  # if pip succeeds, its warnings do not matter
	@touch $@
	@echo "set up"

run: setup  ## The main job: HARMONIC on Diabetes with a real LLM, evaluated and tracked (args="key=value …")
	$(BIN)/python -m experiments.run $(args)

test: setup  ## The default tests
	$(PYTEST) $(args)

test-slow: setup  ## Only the other tests: slow ones, and those that need a network or a GPU
	$(PYTEST) -m "slow or network or gpu" $(args)

test-oldest: .venv-oldest/.installed  ## The default tests with the oldest versions that pyproject.toml allows
	$(subst $(BIN),.venv-oldest/bin,$(PYTEST)) $(args)

test-newest: .venv-newest/.installed  ## The default tests with the newest versions that pyproject.toml allows
	$(subst $(BIN),.venv-newest/bin,$(PYTEST)) $(args)

.venv-oldest/.installed .venv-newest/.installed: pyproject.toml
	@echo "setting up $(@D): about five minutes, 8 GB of disk"
	@$(PYTHON) -m venv $(@D)
	@if [ $(@D) = .venv-oldest ]; then $(PYTHON) tests/helpers/oldest_versions.py; fi > $(@D)/constraints.txt
	@# pip finds no such set of versions within ten minutes; uv takes seconds
	@{ $(@D)/bin/python -m pip install --quiet uv && $(@D)/bin/uv pip install --quiet --python $(@D)/bin/python \
		--constraint $(@D)/constraints.txt --editable '$(ALL)'; } > $(@D)/pip.log 2>&1 || { cat $(@D)/pip.log; exit 1; }
	@touch $@

check: setup .venv/.docs  ## What every change must pass: lint, format, types, documentation, and the default tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory docs
	$(PYTEST) $(args)

check-gpu: setup  ## On a machine with a GPU: every way to use it, at small size, with a summary in outputs/check_gpu.md
	$(BIN)/python -m pytest -m gpu tests/gpu $(args)

coverage: setup  ## The default tests, and which lines and branches of harmonic/ they reach
	$(PYTEST) --cov --cov-report term:skip-covered --cov-report html:outputs/coverage $(args)
	@echo "wrote outputs/coverage/index.html"

peer-%: baselines/environments/requirements/%.txt  ## Create the separate environment that a generator needs (peer-tabularargn)
	@echo "setting up $(PEERS)/$*: a few minutes, 3 to 8 GB of disk"
	@$(PYTHON) -m venv $(PEERS)/$*
	@# these two must fit the version of torch, and no generator needs them
	@{ $(PEERS)/$*/bin/python -m pip install --quiet --requirement $< \
		&& $(PEERS)/$*/bin/python -m pip uninstall --quiet --yes torchvision torchaudio; } > $(PEERS)/$*/pip.log 2>&1 \
		|| { cat $(PEERS)/$*/pip.log; rm -f $(PEERS)/$*/bin/python; exit 1; }
	@echo "set up"

docs: .venv/.docs  ## The documentation as a site, built strictly, in outputs/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --config-file experiments/docs/mkdocs.yml
	@echo "wrote outputs/docs/index.html (its search works where it is served: python -m http.server -d outputs/docs)"

.venv/.docs: .venv/.installed
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]' > .venv/pip.log 2>&1 \
		|| { cat .venv/pip.log; exit 1; }
	@touch $@

bench: setup  ## The benchmarks that need no finished run, each against a reference procedure in the same run
	@for name in $$(ls experiments/benchmarks | sed -n 's/^\([a-z][a-z_]*\)\.py$$/\1/p' | grep -vE '^(reference|constrained_bias|temperature|gpu)$$'); do \
		echo "== $$name"; $(BIN)/python -m experiments.benchmarks.$$name $(args) || exit 1; done

tables: setup  ## The runs so far as tables and one HTML page, in outputs/report (args="folders … --against method")
	$(BIN)/python -m experiments.report.command $(or $(args),outputs)

audit: setup  ## What six generators reveal about Diabetes: a privacy card for each (args="key=value …")
	$(BIN)/python -m experiments.run -m experiment=audit $(args)

clean:  ## Remove caches and the environment; outputs stay
	rm -rf .venv .venv-oldest .venv-newest .mypy_cache .ruff_cache .pytest_cache build *.egg-info
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +
