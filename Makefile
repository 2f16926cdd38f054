# Gray2Hue: `make run` and `make test` need nothing but Python 3.11, 3.12 or 3.13.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help setup run test faults soak lint format lock chromium

help: ## Show what can be made.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(STAMP) ## Make .venv with everything that is needed to run and to test.

run: $(STAMP) ## Run Gray2Hue on this machine until Ctrl-C.
	@exec $(BIN)/gray2hue up

# One thread of PyTorch: several that wait for each other take many times as long where the cores have other work.
test: $(STAMP) chromium lint ## Run all checks and all tests.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

faults: $(STAMP) ## Kill every part at every step, on both databases; takes some ten minutes.
	$(BIN)/python -m pytest tests/faults -m "exhaustive or not exhaustive"

SEED := 1
soak: $(STAMP) ## Send 20,000 photographs through a stack that is hurt all the time. SEED=2 hurts it otherwise.
	$(BIN)/python -m benchmarks.soak --seed $(SEED) --out benchmarks/results/soak

# Without ruff's cache: it keeps the verdict on a file whose imports sort differently once a module beside it is there.
lint: $(STAMP) ## Check style, types and the direction of imports.
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Bring the code into its form.
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format --no-cache .

# The stamp is written last, so that an installation that was cut short is done again.
$(STAMP): pyproject.toml requirements/dev.lock
	@[ -x $(BIN)/python ] || { python="$$(./.ci/find-python)" && "$$python" -m venv $(VENV); }
	@echo "Installing into $(VENV). The first time this downloads some GB (PyTorch) and takes several minutes."
	$(PIP) install --require-hashes -r requirements/dev.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# The browser tests use the system's Chromium; without one they report themselves skipped.
chromium:
	@./.ci/find-chromium

lock: ## Pin what pyproject.toml asks for, with hashes. UPGRADE=--upgrade takes the newest versions.
	@python="$$(./.ci/find-python)" && folder="$$(mktemp -d)" && trap 'rm -rf "$$folder"' EXIT && \
	"$$python" -m venv "$$folder" && "$$folder/bin/pip" install --quiet uv && \
	for lock in "web" "worker --extra worker" "dev --extra worker --extra embedded --extra heic --extra dev"; do \
	  set -- $$lock && name="$$1" && shift && \
	  "$$folder/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) "$$@" pyproject.toml -o "requirements/$$name.lock" || exit 1; \
	done
