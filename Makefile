# Every target is one command that also sets up what it needs. `make help` lists them.

CARGO ?= cargo
SEEDS ?= 1000000
SEED  ?= 0
FUZZ_SECONDS ?= 30
TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help build demo first-night test check fix golden seeds seed bench profile torture page soak contract fuzz setup install static deb rpm image supply reproduce release-check

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s'|'

build: ## build the release binary
	CARGO="$(CARGO)" sh scripts/build.sh release

demo: ## a rollout from plan to saved job ids against an emulated cloud, in under 30 s
	$(CARGO) build --locked
	$(TARGET)/debug/sealift demo

first-night: build ## play a newcomer's first night on the release build, and write docs/first-night.md
	rm -rf $(TARGET)/first-night
	python3 tests/first_night.py $(TARGET)/release/sealift $(TARGET)/first-night > $(TARGET)/first-night.md
	mv $(TARGET)/first-night.md docs/first-night.md

setup: ## install what the tests need from Debian's packages and crates.io
	sh scripts/setup-tests.sh

test: setup ## run everything
	$(CARGO) nextest run --locked --profile ci
	$(CARGO) test --locked --doc

check: ## what must be clean before a commit: format, lints, docs (read-only)
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path benches/peers/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

fix: ## rewrite what `check` can rewrite
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path benches/peers/Cargo.toml
	$(CARGO) clippy --locked --all-targets --fix --allow-dirty

golden: ## write the golden files anew; read the diff before committing it
	INSTA_UPDATE=always $(CARGO) nextest run --locked --no-fail-fast

seeds: ## simulate SEEDS seeds (a million unless told) on a release build
	SEALIFT_SEEDS=$(SEEDS) $(CARGO) nextest run --locked --release --test simulation --no-capture -E 'test(=seeds::seeds)'

seed: ## simulate one SEED and print its journal
	SEALIFT_SEED=$(SEED) $(CARGO) nextest run --locked --release --test simulation --no-capture -E 'test(=seeds::seeds)'

bench: setup ## measure the main job beside others into docs/performance; SHORT=1 tries it out, ARGS='--parts quota' takes a piece
	sh scripts/setup-bench.sh
	$(CARGO) bench --locked --bench main_job -- $(if $(SHORT),--short,--publish) $(ARGS)

profile: setup ## where the processor time of the carried path goes: shares and a flame graph in target/bench/profile
	sh scripts/setup-bench.sh
	sh scripts/profile.sh $(ARGS)

torture: setup ## the long ordeals: 500 SIGKILLs, 100 of the daemon, 200 of one that notifies, 300 power cuts, 2000 damages, full and read-only disks
	CARGO="$(CARGO)" sh scripts/torture.sh

contract: setup ## ask the API by its own contract, as `test` does too, with EXAMPLES cases of each operation
	SEALIFT_EXAMPLES=$(or $(EXAMPLES),100) $(CARGO) nextest run --locked --test daemon --no-capture -E 'test(=contract::whoever_asks_whatever_gets_an_answer_that_the_contract_names)'

page: setup ## drive Chromium over the operator's page, as `test` does too; screenshots in target/page
	$(CARGO) build --locked
	SEALIFT="$(abspath $(TARGET))/debug/sealift" node --test --test-concurrency=1 tests/page/*.test.mjs

soak: setup build ## an hour (MINUTES) of a running rollout: what an open tab and the daemon hold stays flat; `test` takes a minute and a half
	SEALIFT_MINUTES=$(or $(MINUTES),60) SEALIFT="$(abspath $(TARGET))/release/sealift" node --test tests/page/soak.test.mjs

fuzz: ## every fuzz target for FUZZ_SECONDS (30 unless told); not 0 on a finding
	CARGO="$(CARGO)" FUZZ_SECONDS="$(FUZZ_SECONDS)" sh scripts/fuzz.sh

install: build ## install binary, manual, completions, unit, the service's user and configuration below DESTDIR
	sh scripts/install-files.sh $(TARGET)/release/sealift "$(DESTDIR)/"

static: ## build the static-pie binary that packages and image carry, with the list of its dependencies inside
	CARGO="$(CARGO)" sh scripts/static.sh

deb: ## make the Debian package of the static binary in target/deb
	CARGO="$(CARGO)" sh scripts/sbom.sh
	CARGO="$(CARGO)" SEALIFT_SBOM=target/sealift.cdx.json sh scripts/deb.sh "$$(sh scripts/static.sh | tail -1)" $(TARGET)/deb

rpm: ## make the rpm of the static binary in target/rpm
	CARGO="$(CARGO)" sh scripts/sbom.sh
	CARGO="$(CARGO)" SEALIFT_SBOM=target/sealift.cdx.json sh scripts/rpm.sh "$$(sh scripts/static.sh | tail -1)" $(TARGET)/rpm

image: ## make the container image of the static binary, without a network
	CARGO="$(CARGO)" sh scripts/image.sh "$$(sh scripts/static.sh | tail -1)"

supply: ## what it is made of: licenses, sources, second versions, known advisories; the SBOM in target/sealift.cdx.json
	CARGO="$(CARGO)" sh scripts/supply.sh

reproduce: ## build binary, package and image twice, in two folders: the same bytes
	CARGO="$(CARGO)" sh scripts/reproduce.sh

release-check: ## all that a release is judged by, as root on Debian 12: half an hour, two release builds, and a table
	CARGO="$(CARGO)" bash scripts/release-check.sh
