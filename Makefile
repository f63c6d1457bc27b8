# Two commands for users: `make run` and `make test`. The rest is for those who work on the project.

SAMPLE       ?= .run
SECONDS      ?= 60
FUZZ         ?=
FUZZ_CORPUS  ?= $(or $(CARGO_TARGET_DIR),target)/fuzz-corpus
FUZZ_KIB     ?= 4194304
SAMPLE_BLOCKS ?= 400
HTTP_PORT    ?= 8545
METRICS_PORT ?= 9001
PORTICO      = $(or $(CARGO_TARGET_DIR),target)/release/portico

# The published consensus tests, beside the project or where $PORTICO_FIXTURES says.
FIXTURES     ?= $(or $(PORTICO_FIXTURES),../shared/fixtures)

.PHONY: run test clients conformance build tools sample crash walk bench mix schema clean-sample differential fuzz fuzz-guided fuzz-seeds

## Build, make a sample chain, sync it through all stages and serve it
run: build sample
	@etc/scripts/serve-sample.sh "$(PORTICO)" "$(SAMPLE)" "$(HTTP_PORT)" "$(METRICS_PORT)"

## Everything that must pass
test: tools
	cargo xtask check

## Real clients (ethers, viem, web3.py, cast, a browser) against a sample chain and a development network
clients: build
	@etc/clients/run.sh "$(PORTICO)" "$(or $(CARGO_TARGET_DIR),target)/clients"

## All published consensus tests, in full (`make test` runs a selection); the smaller corpora are tests of portico-spec
conformance: build
	@etc/scripts/conformance.sh "$(PORTICO)" "$(FIXTURES)"
	cargo test --workspace --test corpora --test engine --test malformed
	cargo test --workspace --test t8n -- --ignored

tools:
	@etc/scripts/ensure-build-tools.sh

build: tools
	cargo build --release --locked -p portico

sample: build
	@mkdir -p "$(SAMPLE)"
	@test -f "$(SAMPLE)/chain.rlp" || "$(PORTICO)" bench generate --blocks $(SAMPLE_BLOCKS) --out "$(SAMPLE)"
	"$(PORTICO)" import --chain "$(SAMPLE)/genesis.json" --datadir "$(SAMPLE)/data" --timings "$(SAMPLE)/chain.rlp"

## 100 SIGKILLs during an import; a smaller number is in `make test`
crash: tools
	PORTICO_KILLS=100 cargo test --release -p portico --test crash -- --nocapture

## A consensus client drives a node through 10,000 random steps, with SIGKILLs between; a shorter walk is in `make test`
walk: tools
	PORTICO_WALK_STEPS=$${PORTICO_WALK_STEPS:-10000} cargo test --release -p portico --test engine_walk -- --nocapture

## Compare the stages with the naive way on random chains, for SECONDS
differential: tools
	PORTICO_DIFFERENTIAL_SECONDS=$(SECONDS) cargo test --workspace --test differential -- --nocapture

## Run the fuzz targets (FUZZ="block header", or all) on the stable toolchain, each for SECONDS in FUZZ_KIB of memory
fuzz: fuzz-seeds
	@ulimit -v $(FUZZ_KIB) && $(or $(CARGO_TARGET_DIR),target)/debug/portico-fuzz run "$(FUZZ_CORPUS)" $(FUZZ) --seconds $(SECONDS) --seed "$$(date +%s)"

## The same targets guided by coverage, all beside each other, on the stable toolchain (needs a C++ compiler)
fuzz-guided: fuzz-seeds
	@etc/scripts/fuzz-guided.sh "$(FUZZ_CORPUS)" $(SECONDS) $(FUZZ)

## Write the corpus that `make fuzz` starts from; also for `cargo +nightly fuzz run TARGET $(FUZZ_CORPUS)/TARGET`
fuzz-seeds: tools
	cargo build --locked --workspace --bin portico-fuzz
	$(or $(CARGO_TARGET_DIR),target)/debug/portico-fuzz seeds "$(FUZZ_CORPUS)"

## Measure the import of a generated chain of 20,000 blocks against bare libsecp256k1 and revm in memory
bench: build
	@test -f "$(SAMPLE)/20k/chain.rlp" || "$(PORTICO)" bench generate --blocks 20000 --out "$(SAMPLE)/20k"
	"$(PORTICO)" bench import --chain "$(SAMPLE)/20k/genesis.json" "$(SAMPLE)/20k/chain.rlp"

## Print the generator's gas and size by kind of transaction, for tuning its mix (slow, asserts nothing)
mix: tools
	BLOCKS=$${BLOCKS:-100} cargo test -p portico-generator --test chain -- --ignored --nocapture report

## Refresh docs/schema.md
schema:
	UPDATE_GOLDEN=1 cargo test -p portico-db schema

clean-sample:
	rm -rf "$(SAMPLE)"
