# The commands of this repository. `make` alone lists them.

GO     ?= go
LISTEN ?= 127.0.0.1:6420
DATA   ?= .stagedoor
STORE  ?= embedded

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := .tools/golangci-lint-$(GOLANGCI_VERSION)
NODE_MODULES     := node_modules/.package-lock.json
BUF              := node_modules/@bufbuild/buf-linux-x64/bin/buf

# Two packages at a time keep a two-core machine busy without starving the tests that measure time.
TEST_JOBS    ?= 2
TEST_TIMEOUT ?= 15m
FUZZ_TIME    ?= 10s
SOAK_TIMEOUT ?= 60m
BENCH        ?= .

# The race detector needs a C compiler; without one the tests still run, and `make test` says what they lack.
RACE := $(if $(shell command -v cc || command -v gcc || command -v clang),-race)

# Everything a generator writes. check-generated deletes exactly this.
GENERATED := internal/gen internal/wire/codes_gen.go clients/go/codes_gen.go clients/js/src/gen runner-js/src/gen spec/vectors

.DEFAULT_GOAL := help
.PHONY: help run test build check layers lint lint-go lint-js lint-proto generate check-generated conformance bench microbench fuzz soak clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  variables: LISTEN=$(LISTEN) DATA=$(DATA) STORE=$(STORE) TEST_TIMEOUT=$(TEST_TIMEOUT) FUZZ_TIME=$(FUZZ_TIME) SOAK_TIMEOUT=$(SOAK_TIMEOUT)"

run: bin/stagedoor bin/examples ## build, then start a development gateway with the example actors
ifeq ($(STORE),embedded)
	bin/stagedoor dev --listen $(LISTEN) --data $(DATA) -- bin/examples
else
	bin/stagedoor dev --listen $(LISTEN) --store $(STORE) -- bin/examples
endif

test: test-js test-conformance test-go ## run every test, with the race detector; installs what they need

.PHONY: test-go test-js test-conformance
test-go: $(BUF) redis-server
	$(if $(RACE),,@echo "no C compiler found: the tests run without the race detector" >&2)
	$(GO) test $(RACE) -timeout $(TEST_TIMEOUT) -p $(TEST_JOBS) $$($(GO) list ./... | grep -Ev '$(CONFORMANCE_PROGRAMS)|/edge/nettest')
	$(GO) test $(RACE) -v -timeout $(TEST_TIMEOUT) ./edge/nettest # it compares latencies, and says where it cannot

# The tests of the conformance suite that play it against whole programs: they measure patience, so nothing runs beside them.
CONFORMANCE_PROGRAMS := /conformance/(adapters|cli|fuzz|killmatrix|model|nullrunner|planeg|replay|report|scaffold|suite)

test-conformance: build packages chromium bin/conform-runner-go
	bin/conform run --patience 3 --runner bin/conform-runner-go
	bin/conform run --patience 3 --runner "$(CONFORM_RUNNER_JS)"
	$(GO) test -short $(RACE) -timeout $(TEST_TIMEOUT) -p 1 $$($(GO) list ./... | grep -E '$(CONFORMANCE_PROGRAMS)')

# From the packages' sources, but for the tests of what is published.
test-js: packages chromium bin/stagedoor bin/examples
	npx vitest run

.PHONY: packages
packages: $(NODE_MODULES)
	npm run build

# The tests start Redis servers of their own; the service that Debian's package brings is not used.
.PHONY: redis-server chromium
redis-server:
	@$(call INSTALL,redis-server,redis-server,version 7.0 or later)

chromium:
	@$(call INSTALL,chromium,chromium,)

# INSTALL takes a command, the package of Debian that has it, and what else to say of it.
INSTALL = command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); } || \
	{ echo "the tests start $(1)$(if $(3),$(comma) $(3)): install it (Debian: apt-get install $(2))" >&2; exit 1; }
comma := ,

build: bin/stagedoor bin/examples bin/conform ## build the commands into bin/

# Go knows better than make which sources a binary depends on, so these always ask it.
.PHONY: bin/stagedoor bin/conform bin/conform-runner-go bin/examples bin/spectool
bin/stagedoor:
	$(GO) build -trimpath -o $@ ./edge/cmd/stagedoor

bin/conform:
	$(GO) build -trimpath -o $@ ./conformance/cmd/conform

bin/conform-runner-go:
	$(GO) build -trimpath -o $@ ./conformance/adapters/runner-go

bin/examples:
	$(GO) build -trimpath -o $@ ./examples/runner

bin/spectool:
	$(GO) build -o $@ ./internal/spectool

check: lint layers check-generated ## all static checks: linters, layers, generated code, protobuf

lint: lint-go lint-js lint-proto ## golangci-lint, eslint and tsc, buf

lint-go: $(GOLANGCI)
	$(GOLANGCI) run ./...

lint-js: $(NODE_MODULES)
	npm run check

lint-proto: $(BUF)
	$(BUF) lint

layers: $(BUF) ## the repository's own rules: imports, package comments, requirement ids, sizes
	$(GO) test .

# Everything that is derived from spec/. buf removes what else is in a folder, so the tool comes after it.
define GENERATE
	$(BUF) generate
	$(BUF) generate --template buf.gen.es.yaml --path spec/proto/stagedoor/common --path spec/proto/stagedoor/client -o clients/js/src/gen
	$(BUF) generate --template buf.gen.es.yaml --path spec/proto/stagedoor/common --path spec/proto/stagedoor/runner -o runner-js/src/gen
	bin/spectool errors
	bin/spectool vectors
endef

generate: $(BUF) bin/spectool ## regenerate everything that is derived from spec/
	$(GENERATE)

# The tool is built before the generated files go, since it may import some of them.
check-generated: $(BUF) bin/spectool ## delete, regenerate, and fail on any difference
	rm -rf $(GENERATED)
	$(GENERATE)
	git diff --exit-code --stat -- $(GENERATED)
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
		if [ -n "$$new" ]; then echo "generated, but not in git:"; echo "$$new"; exit 1; fi

# SEEDS=20 is the campaign: each runner with twenty orders of the cases.
SEEDS ?= 1

CONFORM_RUNNER_JS := node conformance/adapters/runner-js/dist/main.js

conformance: build packages chromium bin/conform-runner-go ## run the conformance suite against our runners and our gateway, and prove that its cases can fail
	for seed in $$(seq $(SEEDS)); do \
		bin/conform run --seed $$seed --runner bin/conform-runner-go && \
		bin/conform run --seed $$seed --runner "$(CONFORM_RUNNER_JS)" || exit; done
	set -e; for over in "websocket --http h1" "json --http h2" "webtransport --http h3"; do \
	  bin/conform gateway --transport $$over --gateway "bin/stagedoor gateway --insecure --listen 127.0.0.1:{port} --data {data} --tls-cert {cert} --tls-key {key} --limit-max-event 8192 --limit-event-window 65536"; \
	done
	bin/conform mutants --out bin/killmatrix.json
	bin/conform mutants --plane gateway --out bin/killmatrix-gateway.json
	bin/conform variants --runner bin/conform-runner-go
	$(GO) test -timeout $(TEST_TIMEOUT) -p 1 $$($(GO) list ./... | grep -E '$(CONFORMANCE_PROGRAMS)' | grep -v planeg/broken)

bench: bin/stagedoor packages ## build, then measure everything beside its bare baselines (takes minutes)
	bin/stagedoor bench all

.PHONY: bench-peer
bench-peer: bin/stagedoor packages ## measure the packages of JavaScript beside rivetkit, which it installs
	cd bench/peer && npm install --no-audit --no-fund
	bin/stagedoor bench peer

microbench: ## run the Go benchmarks (BENCH=pattern)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

fuzz: ## run each fuzz target for FUZZ_TIME
	@grep -rEo --include='*_test.go' --exclude-dir=node_modules --exclude-dir=.tools '^func Fuzz[A-Za-z0-9_]+' . | sort | \
	while IFS=: read -r file func; do \
		echo "$${file%/*} $${func#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZ_TIME) "$${file%/*}" || exit 1; \
	done

# Tests that ask for this variable play many times as much with it, from another seed each time.
soak: ## run the tests that can go on for long, at length (STAGEDOOR_SOAK=1)
	STAGEDOOR_SOAK=1 $(GO) test -count=1 -timeout $(SOAK_TIMEOUT) -p 1 \
		$$(grep -rl --include='*_test.go' --exclude-dir=node_modules --exclude-dir=.tools STAGEDOOR_SOAK . | xargs -n 1 dirname | sort -u)

clean: ## remove what the other commands made; tools and data stay
	rm -rf bin clients/*/dist runner-js/dist examples/*/dist
	find clients runner-js examples -name '*.tsbuildinfo' -not -path '*/node_modules/*' -delete

# npm writes this file at the end of an installation, so it is older than the lock file exactly when it is stale.
$(NODE_MODULES): package.json package-lock.json $(wildcard clients/*/package.json examples/*/package.json) runner-js/package.json
	npm ci --no-audit --no-fund
	@touch $@

$(BUF): $(NODE_MODULES) ;

$(GOLANGCI):
	mkdir -p .tools
	GOBIN=$(CURDIR)/.tools $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv .tools/golangci-lint $@
