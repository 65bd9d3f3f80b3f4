# One command for each thing; every one first installs the packages that it needs (scripts/setup), asking sudo when needed.
# On a system without apt it lists them and says how to go on.
.DEFAULT_GOAL := help
.PHONY: help run test chaos sim soak mutants tour binary bench firsthour format tidy asan tsan fuzz coverage install clean

SETUP ?= scripts/setup
PORT ?= 8000
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SEED ?= 1
SOAK_SECONDS ?= 3600
BINARY_NODES ?= node20 node26
RELEASE := cmake --preset release --log-level=WARNING
ONLY_PROGRAMS := -DCOHORT_BUILD_TESTS=OFF -DCOHORT_BUILD_BENCHES=OFF -DCOHORT_BUILD_FUZZERS=OFF
PROGRAMS := hello_cluster two_way_messages divided_primary divided_worker failing_primary failing_worker

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start one web server on every CPU: examples/hello_cluster (PORT=8000)
	@$(SETUP) $@
	@$(RELEASE) $(ONLY_PROGRAMS)
	@cmake --build build/release --target cohort_command hello_cluster
	@echo "open http://localhost:$(PORT)   (Ctrl-C stops)"
	@build/release/examples/hello_cluster --port $(PORT)

test: ## Build and run every test
	@$(SETUP) $@
	@cmake --workflow --preset dev

chaos: ## The fault tests of the policies and of reloads, five times as long: kill, stop, block, replace, grow, shrink
	@$(SETUP) test
	@cmake --preset dev --log-level=WARNING
	@cmake --build build/dev --target slots_test rollout_faults_test reloading_test
	@COHORT_CHAOS=1 GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=0 build/dev/tests/integration/slots_test --gtest_brief=1 & \
	COHORT_CHAOS=1 GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=1 build/dev/tests/integration/slots_test --gtest_brief=1; \
	other=$$?; wait $$! && exit $$other
	@COHORT_CHAOS=1 build/dev/tests/integration/rollout_faults_test --gtest_brief=1
	@COHORT_CHAOS=1 build/dev/tests/integration/reloading_test --gtest_brief=1 --gtest_filter='*LoseNoRequest*'

sim: ## A million short schedules and a thousand long ones of the supervisor, in virtual time, on every CPU (SEED=1)
	@$(SETUP) test
	@cmake --preset dev --log-level=WARNING
	@cmake --build build/dev --target cluster_sim
	@tests/sim/campaign build/dev/tests/sim/cluster_sim $(SEED)

soak: ## A million tasks of which one in a hundred kills its worker, and an hour of random tasks, kills and sizes (SOAK_SECONDS, SEED)
	@$(SETUP) test
	@$(RELEASE)
	@cmake --build build/release --target pool_soak
	@build/release/tests/soak/pool_soak crashes 1000000
	@build/release/tests/soak/pool_soak random $$(( $(SOAK_SECONDS) / 2 )) $(SEED) process
	@build/release/tests/soak/pool_soak random $$(( $(SOAK_SECONDS) / 2 )) $(SEED) thread

mutants: ## Whether the simulation notices each of some fifty broken rules of src/cluster
	@$(SETUP) test
	@tests/sim/mutants

tour: ## Build and run the four example programs in turn
	@$(SETUP) $@
	@$(RELEASE) $(ONLY_PROGRAMS)
	@cmake --build build/release --target cohort_command $(PROGRAMS)
	@scripts/tour

binary: ## Big binary work handed to C++: an example, and how long JavaScript takes for it (BINARY_NODES="node20 node26")
	@$(SETUP) $@
	@$(RELEASE) $(ONLY_PROGRAMS)
	@cmake --build build/release --target binary_worker
	@.peers/node26/bin/node examples/node/binary_parent.js
	@for node in $(BINARY_NODES); do \
	  echo; .peers/$$node/bin/node bench/node/binary.js build/release/examples/binary_worker || exit 1; \
	done

bench: ## Compare with Node and others, side by side
	@$(SETUP) $@
	@$(RELEASE) -DCOHORT_BUILD_TESTS=OFF -DCOHORT_BUILD_BENCHES=ON -DCOHORT_BUILD_FUZZERS=OFF
	@cmake --build build/release
	@bench/run
	@bench/policies
	@bench/operator
	@bench/parallel
	@bench/map

firsthour: ## What a new user meets with Express, Next.js, gunicorn...: a table, and what cohort says
	@$(SETUP) $@
	@$(RELEASE) $(ONLY_PROGRAMS)
	@cmake --build build/release --target cohort_command
	@scripts/first-hour

format: ## Format every source with clang-format
	@$(SETUP) $@
	@scripts/format

tidy: ## Lint: clang-tidy, formatting, layering, banned spellings
	@$(SETUP) $@
	@scripts/format --check
	@cmake --workflow --preset tidy

asan: ## Every test under AddressSanitizer and UndefinedBehaviorSanitizer; of two Nodes only with the newer
	@$(SETUP) $@
	@cmake --workflow --preset asan

tsan: ## Every test under ThreadSanitizer
	@$(SETUP) $@
	@cmake --workflow --preset tsan

fuzz: ## Run every fuzzer under libFuzzer (FUZZ_SECONDS=60 each)
	@$(SETUP) $@
	@cmake --workflow --preset fuzz
	@scripts/fuzz $(FUZZ_SECONDS)

coverage: ## Which lines the tests reach: build/coverage/coverage.html
	@$(SETUP) $@
	@cmake --workflow --preset coverage
	@gcovr --root . --filter src --filter include build/coverage --print-summary \
	  --html-details build/coverage/coverage.html

install: ## Build and install the library and the command (PREFIX=/usr/local, DESTDIR)
	@$(SETUP) $@
	@$(RELEASE) $(ONLY_PROGRAMS)
	@cmake --build build/release --target cohort cohort_command
	@cmake --install build/release --prefix $(PREFIX)

clean: ## Remove everything that was built
	@rm -rf build
