# Each target is one script in ci/, which CI calls as it stands. PYTHON=python3.12 picks the interpreter.
.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint loom crash conformance bench docs layers clean

help: ## show this help
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build into .venv and run the main job on real files (ARGS="FOLDER --workers 4")
	@ci/demo.sh $(ARGS)

test: ## all tests, Rust and Python, on one Python (about 10 minutes)
	@ci/test.sh

test-all: ## the same on every Python found, with long crash rounds, full loom and Miri
	@ci/test-all.sh

lint: ## formatting, clippy, ruff, types, layers
	@ci/lint.sh

loom: ## check the interleavings of the shared-memory algorithms (LOOM=full for all)
	@ci/loom.sh

crash: ## kill a process at every crash point and check what the survivors see
	@ci/crash.sh

conformance: ## CPython's own multiprocessing tests, quick selection (ARGS="--method all" for the whole)
	@ci/conformance.sh $(ARGS)

bench: ## compare with multiprocessing, headline cases (ARGS="--cases latency --rounds 5" for others)
	@ci/bench.sh $(ARGS)

docs: ## the Rust documentation, in target/doc
	@ci/docs.sh

layers: ## who may import whom, where unsafe may stand, how long a file may be
	@python3 ci/layers.py

clean: ## remove what the other targets made
	rm -rf target .venv .venv-* python/procession/_core*.so
