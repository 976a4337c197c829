# The only door. A cluster belongs to this checkout; tools and state are in ~/.cache/logistics-platform (LOGISTICS_CACHE).

DEV := cargo run --quiet --package dev-cluster --
# Only a KUBECONFIG given to make chooses another cluster; the shell's own variable does not.
ifeq ($(origin KUBECONFIG),command line)
export DEMO_KUBECONFIG := $(patsubst ~/%,$(HOME)/%,$(KUBECONFIG))
endif
unexport KUBECONFIG
export CONTAINER ?= buildah
export REGISTRY
export DEMO_ARGS
export FAULTS_ARGS

.DEFAULT_GOAL := help
.PHONY: help demo test soak faults fuzz bench bench-operator bench-avro backtest judges contracts baseline cluster cluster-down kubeconfig images cli lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Bring everything up and send real shipments (KUBECONFIG=… REGISTRY=…: on your own cluster)
	@dev/demo.sh

test: ## Run the lints and every test, the end-to-end ones on a real cluster
	@dev/test.sh

judges: ## Show the chart, the samples and all that is rendered to independent judges (needs no cluster)
	@dev/prerequisites.sh
	@$(DEV) tools judges
	@cargo test --package dev-judges

contracts: ## Write docs/asyncapi.yaml and docs/grpc.md from the contracts in schemas/
	@cargo run --quiet --package dev-contracts -- docs

baseline: ## At a release: make today's contracts the ones that later changes are compared with
	@cargo run --quiet --package dev-contracts -- baseline

soak: ## Run thousands of fault schedules against the operator (SCHEDULES=20000)
	@LOGISTICS_SCHEDULES=$(or $(SCHEDULES),2000) cargo test --release --package logistics-operator --test schedules schedules_end -- --show-output

faults: ## Inject every fault into the services, and show that builds broken on purpose are found out (FAULTS_ARGS=…)
	@dev/faults.sh

fuzz: ## Look for inputs that break a decoder, a check or a rule of the services (FUZZ_ARGS='--seconds 60')
	@cargo run --quiet --package logistics-fuzz -- $(FUZZ_ARGS)

bench: ## Measure the workloads next to peers of the same job (BENCH_ARGS='--runs 1 --seconds 2 --no-peers')
	@dev/prerequisites.sh
	@$(DEV) tools bench-workloads
	@cargo build --quiet --release --package logistics --package bench-workloads
	@cargo run --quiet --release --package bench-workloads -- $(BENCH_ARGS)

bench-operator: ## Measure the operator with 1,000 platforms next to its peers (BENCH_ARGS='--platforms 50 --no-peers')
	@cargo build --quiet --release --package logistics-operator --bin logistics-operator
	@cargo run --quiet --release --package bench-operator -- $(BENCH_ARGS)

bench-avro: ## Compare the crates that could read and write our events: right, and at what cost? (BENCH_ARGS='--runs 5 -o json')
	@cargo run --quiet --release --manifest-path bench/avro/Cargo.toml --target-dir target -- $(BENCH_ARGS)

backtest: ## Replay a year of real flights through the models of analytics: how good are they? (BACKTEST_ARGS='-o json')
	@cargo run --quiet --release --package bench-backtest -- $(BACKTEST_ARGS)

cluster: ## Start Kubernetes, PostgreSQL, Kafka and the schema registry, with the operator
	@dev/prerequisites.sh
	@$(DEV) images >/dev/null
	@$(DEV) up
	@$(DEV) install

cluster-down: ## Stop the cluster and leave nothing behind
	@$(DEV) down

kubeconfig: ## Print the path of the running cluster's kubeconfig
	@$(DEV) kubeconfig

images: ## Build the images (CONTAINER=docker: by Docker; REGISTRY=…: push them there)
	@dev/prerequisites.sh
	@$(DEV) images $(if $(REGISTRY),--push $(REGISTRY))

cli: ## Build the kubectl plugin (target/release/kubectl-logistics)
	@cargo build --release --package kubectl-logistics

lint: ## Check formatting, lints, shell scripts, licences and known flaws of the crates
	@dev/lint.sh

clean: ## Stop the cluster and delete what was built here (built tools stay in the cache)
	@$(DEV) down
	@$(DEV) forget
	@cargo clean
