# `make` alone lists the targets. Each one first sets up .venv by itself, where that is needed.
# PYTHON=/path/to/python picks the interpreter of a new .venv; ARGS='...' goes to the command run.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq --no-deps --require-hashes

# A stamp is written when a step has ended, so that an interrupted set-up is picked up again. The
# later steps need the earlier ones: with `make -j` they never change the environment at once.
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
DOCS_READY := $(VENV)/.docs-ready

# True where the interpreter of .venv is still there, with pip, and suits.
USABLE := import sys, pip; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 14))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help fit test lint scoreboard figures notebooks benchmark sbc coverage placebo power \
    priors multiverse docs docs-check release-check clean

help: ## list the targets
	@echo 'usage: make TARGET [ARGS=...] [PYTHON=...]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 17

fit: $(RUN_READY) ## fit the bundled data, check the fit, print the effects, write out/
	@mkdir -p out
	@$(BIN)/bayesmeta fit --out out/fit.nc $(ARGS)

# Two processes with a thread each: more would not all find room, a fit takes up to two gigabytes.
WHOLE := -n 2 --dist loadfile

test: $(DEV_READY) ## run the default test suite
	@$(if $(ARGS),,OMP_NUM_THREADS=1) $(BIN)/python -m pytest $(or $(ARGS),$(WHOLE))

lint: $(DEV_READY) ## check style, types and the direction of imports
	@echo 'ruff'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo 'pyright'
	@$(BIN)/pyright
	@echo 'import-linter'
	@$(BIN)/lint-imports --no-logo

SCORED := --scheme random,leave-family-out,largest --seeds 4 --models full,scale,scale+family,$\
    median,ols,xgboost-scale,xgboost-all,scale+family-dummies

scoreboard: $(DEV_READY) ## score all models and baselines on held-out scores; half an hour
	@for version in corrected as-published; do \
	    $(BIN)/bayesmeta evaluate $(SCORED) --data-version $$version --out out/scores-$$version \
	        $(ARGS) && cp out/scores-$$version/scoreboard.csv data/scoreboard-$$version.csv \
	        || exit; done
	@$(BIN)/bayesmeta evaluate --scheme leave-study-out --out out/scores-studies $(ARGS)
	@cp out/scores-studies/scoreboard.csv data/scoreboard-studies.csv

figures: $(RUN_READY) ## draw every figure anew into figures/
	@$(BIN)/bayesmeta plot all --out figures/ $(ARGS)
	@$(BIN)/python scripts/draw-gallery.py

notebooks: $(DEV_READY) ## execute the notebooks in place
	@$(BIN)/python scripts/run-notebooks.py $(ARGS) notebooks/*.ipynb

benchmark: $(DEV_READY) ## measure questions, samplers and growth; on an idle machine
	@$(BIN)/python scripts/measure-questions.py
	@$(BIN)/python scripts/measure-samplers.py $(ARGS)
	@$(BIN)/python scripts/measure-growth.py $(ARGS)

sbc: $(DEV_READY) ## fit data sets that the model makes itself; goes on where it stopped
	@$(BIN)/python scripts/validate.py calibration $(ARGS)

coverage: $(DEV_READY) ## fit scores drawn from known effects; goes on where it stopped
	@$(BIN)/python scripts/validate.py coverage $(ARGS)

placebo: $(DEV_READY) ## fit randomly permuted decisions; goes on where it stopped
	@$(BIN)/python scripts/validate.py placebo $(ARGS)

power: $(DEV_READY) ## fit scores drawn from effects within families; goes on where it stopped
	@$(BIN)/python scripts/validate.py power $(ARGS)

priors: $(DEV_READY) ## fit with other scales of the prior; goes on where it stopped
	@$(BIN)/python scripts/validate.py priors $(ARGS)

multiverse: $(DEV_READY) ## fit every specification of a claim; goes on where it stopped
	@$(BIN)/python scripts/validate.py multiverse $(ARGS)

SITE := README.md MODEL.md VALIDATION.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md data/README.md docs

docs: $(DOCS_READY) ## build the site into out/docs, strictly: a broken link or name fails
	@$(BIN)/codespell $(SITE)
	@$(BIN)/python -m sphinx -W --keep-going -n -q -c docs -d out/docs-cache . out/docs $(ARGS)
	@echo 'wrote out/docs/index.html'

docs-check: $(DEV_READY) docs ## look at every page of the site in Chromium: accessible, not too wide
	@$(BIN)/python scripts/check-site.py out/docs $(ARGS)

release-check: $(DOCS_READY) ## build wheel and sdist, ask each a question in a clean environment
	@$(BIN)/python scripts/check-release.py $(ARGS)

clean: ## remove .venv, out/ and all caches
	@rm -rf $(VENV) out build dist .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) \
	    -prune -exec rm -rf {} +
	@echo 'removed .venv, out/ and caches'

$(RUN_READY): pyproject.toml requirements.lock
	@test -e $(VENV)/.created && $(BIN)/python -c '$(USABLE)' 2>/dev/null || { \
	    python=$$(scripts/find-python) && \
	    echo "creating $(VENV) with $$python" && \
	    rm -rf $(VENV) && "$$python" -m venv $(VENV) && touch $(VENV)/.created; }
	@echo 'installing what bayesmeta needs into $(VENV) (once, about a minute)'
	@$(INSTALL) -r requirements.lock
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): $(RUN_READY) requirements-dev.lock
	@echo 'installing what the tests need into $(VENV) (once, about a minute)'
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

# The tests do not need what builds the site, and do not wait for it.
$(DOCS_READY): $(RUN_READY) requirements-docs.lock
	@echo 'installing what the site needs into $(VENV) (once, about a minute)'
	@$(INSTALL) -r requirements-docs.lock
	@touch $@
