# Every command explains itself: make help
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help install demo up down status logs clean doctor model fmt lint types arch docs check test test-unit test-integration test-e2e replay bench chaos dags ci

help: ## Show what each command does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Create .venv and install everything, pinned; system packages too where they are missing
	@bash infra/install.sh

demo: install ## Run the whole loop on real data: servers up, ingest, gate, agents, digest; leaves the stack running
	@$(BIN)/tandem demo $(ARGS)

up: install ## Bring up every server on loopback
	@$(BIN)/tandem up

down: ## Stop every server; data stays in .tandem
	@[ ! -x $(BIN)/tandem ] || $(BIN)/tandem down

status: install ## Show each server's state and the addresses
	@$(BIN)/tandem status

logs: install ## Print the servers' logs; COMPONENT=bridge for one of them
	@$(BIN)/tandem logs $(COMPONENT)

model: install ## Serve a small open-weights model too (120 MB, fetched once): it words reports; ARGS=--off ends it
	@$(BIN)/tandem model $(ARGS)

doctor: install ## Check every server, version and setting
	@$(BIN)/tandem doctor

clean: down ## Stop every server and remove its data (not the environment)
	@rm -rf .tandem

fmt: install ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix -q .

lint: install ## Check style
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .

types: install ## Check types, strictly
	@$(BIN)/mypy

arch: install ## Check which package may import which
	@$(BIN)/lint-imports --no-cache

docs: install ## Write the AsyncAPI document from the contracts
	@$(BIN)/python -m bridge.contracts.asyncapi docs/asyncapi.json

dags: install ## Check that every DAG parses, and cheaply
	@$(PYTEST) -q tests/architecture/test_dags.py

check: lint types arch test-unit ## What must be green before a commit

test: install ## Run every test, on real servers
	@$(PYTEST)

test-unit: install ## Run the tests that need no server
	@$(PYTEST) -q -m "not integration and not e2e"

test-integration: install ## Run the tests on real Temporal, Kafka, S3 and PostgreSQL
	@$(PYTEST) -q -m integration

test-e2e: install ## Run the story through everything, with a worker killed in its middle
	@$(PYTEST) -q -m e2e

replay: install ## Replay the recorded histories of every released workflow
	@$(PYTEST) -q tests/contract/test_replay.py

bench: install ## Measure, as ratios within one run; writes .tandem/bench.json
	@$(BIN)/python -m tests.bench

chaos: install ## Kill every process again and again while thousands of requests flow; SHORT=1 as in CI, SEED=n to repeat
	@$(BIN)/python -m tests.chaos $(if $(SHORT),--short) $(if $(SEED),--seed $(SEED)) $(ARGS)

ci: check test ## What CI runs
	@$(MAKE) chaos SHORT=1
