# Two commands do everything on a fresh machine: make demo, make test.
# make help lists the others.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Without it gRPC has traces as HTML pages, whose templates call methods by name: then the
# linker must keep every method of every type, which makes the program 27 MB larger.
TAGS    := grpcnotrace
# The Kubernetes that the tests run on; its components tell and compare their
# versions, so it is stamped on them.
KUBE_VERSION := 1.37.2
KUBE_STAMP   := k8s.io/component-base/version
KUBE_LDFLAGS := -s -w -X $(KUBE_STAMP).gitVersion=v$(KUBE_VERSION) -X $(KUBE_STAMP).gitMajor=1 -X $(KUBE_STAMP).gitMinor=37

# How long the unit tests of one package, and the end-to-end tests, may take.
UNIT_TIMEOUT := 10m
E2E_TIMEOUT  := 25m
# The time that each fuzz target gets in make fuzz.
FUZZTIME := 60s
# What make chaos does: the seed, the volumes to be made with this project's sidecar
# and with its peers, and where the table goes.
CHAOS_SEED         := 1
CHAOS_VOLUMES      := 10000
CHAOS_PEER_VOLUMES := 1000
CHAOS_OUT          := $(BIN)/chaos.md
# How long make soak lasts, and how many pairs make price measures.
SOAK_DURATION := 1h
SOAK_OUT      := $(BIN)/soak.md
PRICE_PAIRS   := 5
PRICE_OUT     := $(BIN)/price.md
# What make bench measures: the rows (all if empty), how often, and where the results go.
ROWS          :=
BENCH_SAMPLES := 5
BENCH_RESULTS := docs/benchmarks
# What make compare plays: scenarios whose names match the regular expression COMPARE,
# and where it writes what it compared, if anywhere.
COMPARE         :=
COMPARE_RECORDS :=

step = @printf '\n==> %s\n' "$(1)"

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: programs ## Show the product at work on a real cluster (KEEP=1 leaves it running).
	@$(BIN)/e2e demo $(if $(KEEP),--keep)

.PHONY: test
test: unit e2e ## Prove it: unit tests with the race detector, and end to end.

.PHONY: unit
unit: ## Unit tests with the race detector; needs no root.
	$(call step,Unit tests)
	go test -race -timeout $(UNIT_TIMEOUT) $$(go list ./... | grep -v /test/protocol)
	$(call step,Search of the protocol)
	go test -timeout $(UNIT_TIMEOUT) ./test/protocol

.PHONY: model
model: ## Search larger models of the protocol, for some minutes and with some GB of memory.
	go test -timeout 1h -v -run TestNothingIsLost -parallel 1 ./test/protocol -deep

.PHONY: e2e
e2e: programs peers ## End-to-end tests on a real cluster; with a kubelet and real volumes as root.
	$(call step,End-to-end tests)
	cd test/e2e && go test -count=1 -p 1 -timeout $(E2E_TIMEOUT) $$(go list ./... | grep -v /suite)
	cd test/e2e && go test -count=1 -parallel 8 -timeout $(E2E_TIMEOUT) ./suite

.PHONY: chaos
chaos: programs peers ## Look for lost volumes, for half an hour, in this sidecar and its peers (CHAOS_SEED, CHAOS_VOLUMES).
	@$(BIN)/e2e chaos --seed=$(CHAOS_SEED) --volumes=$(CHAOS_VOLUMES) --program=$(BIN)/chaos-provisioner \
	  --peers=$(BIN)/peer-provisioner,$(BIN)/peer-resizer --peer-volumes=$(CHAOS_PEER_VOLUMES) --out=$(CHAOS_OUT)

.PHONY: soak
soak: programs ## Create, expand and delete volumes for an hour, with faults, and see whether the sidecar's memory grows (SOAK_DURATION).
	@$(BIN)/e2e soak --duration=$(SOAK_DURATION) --out=$(SOAK_OUT)

.PHONY: price
price: programs ## Measure what the journal costs: bursts with it and without it, in turns (PRICE_PAIRS).
	@$(BIN)/e2e price --pairs=$(PRICE_PAIRS) --out=$(PRICE_OUT)

.PHONY: bench
bench: programs peers ## Measure this project and its peers side by side, for 40 minutes (ROWS=backlog,nodes for some rows).
	@$(BIN)/e2e bench --samples=$(BENCH_SAMPLES) --row='$(ROWS)' --results=$(BENCH_RESULTS)

.PHONY: microbench
microbench: ## Measure planners, the topology index, encoding and the journal, for benchstat.
	go test -run '^$$' -bench . -benchmem -count 6 ./pkg/csi ./pkg/journal ./pkg/plan/... ./pkg/kube

.PHONY: compare
compare: programs peers ## Compare with the peers, scenario by scenario (COMPARE=name, COMPARE_RECORDS=directory).
	go run ./hack/docs -peers=$(BIN)/peer-provisioner,$(BIN)/peer-resizer
	@$(BIN)/e2e compare --records='$(COMPARE_RECORDS)' $(if $(COMPARE),'$(COMPARE)')

.PHONY: cluster
cluster: programs ## Start a cluster and leave it running until Ctrl-C.
	@$(BIN)/e2e cluster

.PHONY: fuzz
fuzz: ## Fuzz what is fed with strangers' input, FUZZTIME for each target.
	@for package in $$(grep -rl --include='*_test.go' '^func Fuzz' pkg | xargs -n1 dirname | sort -u); do \
	  for target in $$(grep -h -o '^func Fuzz[A-Za-z0-9]*' $$package/*_test.go | cut -c6-); do \
	    printf '\n==> Fuzzing %s in %s\n' "$$target" "$$package"; \
	    go test "./$$package" -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME); \
	  done; \
	done

.PHONY: verify
verify: $(BIN)/golangci-lint ## Check format, vet, lint, generated pages and go.mod files.
	$(call step,Vet)
	go vet ./...
	cd test/e2e && go vet ./...
	$(call step,Format and lint)
	@unformatted=$$(gofmt -l cmd hack pkg test); if [ -n "$$unformatted" ]; then echo "run gofmt -w on: $$unformatted"; exit 1; fi
	$(BIN)/golangci-lint run ./...
	cd test/e2e && ../../$(BIN)/golangci-lint run --config ../../.golangci.yaml ./...
	$(call step,Generated pages and the tests that docs name)
	go run ./hack/docs -check
	$(call step,go.mod files are tidy)
	go mod tidy -diff
	cd test/e2e && go mod tidy -diff
	cd test/e2e/kube && go mod tidy -diff
	cd $(PEERS) && go mod tidy -diff
	cd hack/tools && go mod tidy -diff

.PHONY: generate
generate: ## Write the pages of docs that are made from the program: flags, metrics, events.
	go run ./hack/docs

.PHONY: build
build: $(BIN)/csi-provisioner ## Build the sidecar.

.PHONY: clean
clean: ## Remove what was built.
	rm -rf $(BIN)

# The programs that the demonstration and the end-to-end tests run.
.PHONY: programs
programs: xfsprogs $(BIN)/kube $(BIN)/csi-provisioner $(BIN)/chaos-provisioner $(BIN)/driver $(BIN)/e2e

# go build finds out by itself whether there is anything to do.
.PHONY: $(BIN)/csi-provisioner
$(BIN)/csi-provisioner:
	@echo "==> Building the sidecar"
	@CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/csi-provisioner

# The sidecar with failpoints: it can be told to die before or after a call.
.PHONY: $(BIN)/chaos-provisioner
$(BIN)/chaos-provisioner:
	@echo "==> Building the sidecar with failpoints"
	@CGO_ENABLED=0 go build -tags failpoints,$(TAGS) -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/csi-provisioner


.PHONY: $(BIN)/driver $(BIN)/e2e
$(BIN)/driver $(BIN)/e2e:
	@echo "==> Building the test program $(@F)"
	@cd test/e2e && CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o ../../$@ ./cmd/$(@F)

$(BIN)/kube: $(shell find test/e2e/kube -name '*.go' -o -name 'go.*')
	@echo "==> Building Kubernetes $(KUBE_VERSION), which takes some minutes the first time"
	@hack/progress.sh "still building Kubernetes" \
	  bash -c "cd test/e2e/kube && CGO_ENABLED=0 go build -trimpath -ldflags '$(KUBE_LDFLAGS)' -o ../../../$@ ."
	@touch $@

# The peers, to compare with.
.PHONY: peers
peers: $(BIN)/peer-provisioner $(BIN)/peer-resizer

PEER_MODULES := github.com/kubernetes-csi
PEERS        := test/e2e/peers
$(BIN)/peer-provisioner: PEER := $(PEER_MODULES)/external-provisioner/v6/cmd/csi-provisioner
$(BIN)/peer-resizer:     PEER := $(PEER_MODULES)/external-resizer/v2/cmd/csi-resizer
$(BIN)/peer-provisioner $(BIN)/peer-resizer: $(PEERS)/go.mod
	@echo "==> Building $(PEER), which takes some minutes the first time"
	@hack/progress.sh "still building $(@F)" \
	  bash -c "cd $(PEERS) && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../../$@ $(PEER)"
	@touch $@

$(BIN)/golangci-lint: hack/tools/go.mod
	@echo "==> Building the linter, which takes some minutes the first time"
	@hack/progress.sh "still building the linter" \
	  bash -c "cd hack/tools && go build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint"
	@touch $@

# mkfs.xfs and xfs_growfs, for volumes that are real file systems; only root can
# mount them.
.PHONY: xfsprogs
xfsprogs:
	@if [ "$$(id -u)" = 0 ] && ! command -v mkfs.xfs >/dev/null; then \
	  echo "==> Installing xfsprogs"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xfsprogs >/dev/null; \
	fi
