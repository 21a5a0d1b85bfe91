# Two commands do all set-up: `make demo` and `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

POLICIES := $(patsubst %/Cargo.toml,%,$(wildcard policies/*/Cargo.toml))

.PHONY: help demo test test-contract test-cluster test-fast lint policy-tool policies guest-c bench bench-plugin load fuzz setup setup-redis setup-server

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: setup ## Drive a community matter from its seed to tuntas, and replay every decision
	cargo run --locked -p gotong -- demo

test: setup setup-redis lint ## Format, lints, the policies rebuilt and compared, all tests; CI runs test-contract and test-cluster too
	cargo build --locked -p gotong
	cargo run --locked -p gotong -- migrate --check
	scripts/verify-policies
	cargo run --locked -p gotong -- policy test --require-coverage $(POLICIES)
	cargo run --locked -p gotong -- policy docs --check
	cargo run --locked -p gotong -- openapi --problems --check docs/problems.md
	cargo test --locked --workspace --exclude gotong-benches --no-fail-fast
	@# Debian's package `prometheus` has it.
	@if command -v promtool >/dev/null; then promtool test rules docs/alerts/gotong.test.yml; \
	else echo "promtool is not installed: the alert rules are not tested"; fi
	@# The program that the tests above have built: by itself it would be built again, with other features.
	@if command -v clang >/dev/null && command -v wasm-ld >/dev/null; then "$${CARGO_TARGET_DIR:-target}/debug/guest-c"; \
	else echo "clang is not installed: the module in C is tested, and not rebuilt (make guest-c)"; fi

test-fast: setup ## The tests of the engine, the SDK and the policies: no database is built
	cargo test --locked -p gotong-engine -p gotong-policy -p gotong-policy-tool -p gotong-prover -p gotong-role-matrix \
		-p gotong-gate -p gotong-moderation -p gotong-retention -p gotong-edge-pod -p gotong-guests

test-contract: setup ## Call every operation of the running server by its own document (schemathesis), about 3 minutes
	cargo build --locked -p gotong
	scripts/test-contract

lint: setup
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

policy-tool: setup ## Build the tools of a policy author, without the database
	cargo build --locked -p gotong-policy-tool
	@echo "built: $${CARGO_TARGET_DIR:-target}/debug/gotong-policy"

policies: setup ## Build every policy module from source and pin new versions
	cargo run --locked -p gotong -- policy build
	cargo run --locked -p gotong -- policy pin $(POLICIES)
	cargo run --locked -p gotong -- policy docs
	cargo run --locked -p gotong -- openapi --problems > docs/problems.md

guest-c: setup ## Rebuild the policy module in C and compare it with the committed one; WRITE=1 replaces that
	@scripts/setup-clang
	cargo run --locked -p gotong-guests -- $(if $(WRITE),--write)

bench: setup ## Measure: evaluations, Cedar, Rego and Extism beside them, growth, and votes over HTTP; plots to docs/plots
	cargo build --locked --release -p gotong
	cargo run --locked --release -p gotong-benches --features peers -- --votes --plots docs/plots
	cargo bench --locked -p gotong-benches

test-cluster: setup setup-redis setup-server ## Hosts on a real SurrealDB server: its logins, and three with one Redis, each killed in turn under load; builds the server once
	CARGO_TARGET_DIR="$${CARGO_TARGET_DIR:-$(CURDIR)/target}/surrealdb-server" \
		cargo build --locked --manifest-path fixtures/surrealdb-server/Cargo.toml
	TEST_SURREALDB="$$(cd "$${CARGO_TARGET_DIR:-target}" && pwd)/surrealdb-server/debug/gotong-surrealdb-server" \
		cargo test --locked --workspace --exclude gotong-benches --test server --test secrets --test metrics --test cluster --test contested -- --ignored --nocapture

load: setup ## Scripted people against a release host, on the memory engine and on a folder
	cargo build --locked --release -p gotong
	cargo run --locked --release -p gotong-benches --bin gotong-load

fuzz: setup ## Fuzz everything that reads bytes from outside, FUZZ_SECONDS (30) each
	scripts/fuzz

bench-plugin: setup ## Build the plugin that Extism is measured with, from the role matrix
	benches/extism-plugin/build

# What the toolchain file asks for, also where rustup did not add it; and a C compiler for aws-lc and the linker.
setup:
	@scripts/setup

setup-redis:
	@scripts/setup-redis

setup-server:
	@scripts/setup-server
