# Skein. `make demo` shows it, `make test` proves it; both do all their set-up.
# Kubernetes' programs, linter, generators and the Python environment are built
# once into ${SKEIN_CACHE:-~/.cache/skein} and found there by every clone.

SHELL := /bin/bash
BIN   := bin
GOFLAGS_TEST ?= -shuffle=on -timeout 30m

# What make chaos plays; a named scenario is played without seeds. MINUTES is the time of make chaos-full.
SCENARIOS ?= chaos/testdata/*.txt
SEEDS     ?= $(if $(filter file,$(origin SCENARIOS)),1000,0)
MINUTES   ?= 120

# NODES and OBJECT_STORE: `skein demo --help` has the values. DEMO_ONCE=1 ends a demo when it has passed.
demo_flags = $(if $(NODES),--nodes $(NODES)) $(if $(OBJECT_STORE),--object-store $(OBJECT_STORE))

.DEFAULT_GOAL := help
.PHONY: help build demo demo-flytekit test race chaos chaos-full bench mutants lint generate verify clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

build: ## build skein, skein-admin, skein-propeller and skein-capi into bin/
	@cmd/internal/tools/build $(BIN)

demo: build ## run a whole federation here and show the main job (DEMO_ONCE=1, NODES=…, OBJECT_STORE=…)
	@exec $(BIN)/skein demo $(demo_flags)

demo-flytekit: build ## show what a workflow author does, with the real pyflyte, on the demo that runs here or a new one
	@exec $(BIN)/skein demo --flytekit $(demo_flags)

test: ## run every test, on real API servers, a real database and the real flytekit
	@echo "testing (one database and one API server for all packages; minutes the first time)"
	@go run ./deploy/local/with -- go test $(GOFLAGS_TEST) $$(go list ./... | grep -v /internal/e2e/)
	@echo "testing end to end (whole federations of real processes, one after another)"
	@go test -p 1 $(GOFLAGS_TEST) ./cmd/internal/e2e/...

race: ## run the tests of the concurrent packages under the race detector
	@go run ./deploy/local/with -- go test -race $(GOFLAGS_TEST) ./scheduler/... ./federation/... ./admin/ingest ./deploy/local/proc ./deploy/local/forward ./deploy/local/processnode/...

chaos: build ## play the small chaos scenarios and some seeds (minutes; SCENARIOS=…, SEEDS=…); ends with a line of figures
	@go run ./cmd/internal/scenario/play -bin $(BIN) -seeds $(SEEDS) $(SCENARIOS)

chaos-full: build ## play all of them and new seeds for MINUTES (120), and write docs/chaos.md
	@go run ./cmd/internal/scenario/play -bin $(BIN) -disks -full chaos/testdata/full -minutes $(MINUTES) -page docs/chaos.md chaos/testdata/*.txt

bench: build ## measure launches and workflows beside their raw limits (docs/benchmarks.md)
	@go run ./cmd/internal/bench -bin $(BIN)

mutants: ## show that each mutant is caught by the suite
	@go run ./deploy/local/with -- go test -count=1 -v -run TestMutantsAreCaught ./admin/store ./federation ./propeller/workflow ./scheduler ./chaos/rig

lint: ## lint the tree
	@cmd/internal/tools/lint/lint
	@cd api && PATH="$$(../cmd/internal/tools/generate --path):$$PATH" buf lint
	@cmd/internal/tools/breaking

generate: ## write all generated code
	@cmd/internal/tools/generate

verify: generate ## check that generated code is up to date, and lint
	@git diff --exit-code --stat -- api deploy/crd || { echo "generated code differs: commit what make generate wrote"; exit 1; }
	@$(MAKE) --no-print-directory lint

clean: ## remove what was built here (not the cache)
	@rm -rf $(BIN)
