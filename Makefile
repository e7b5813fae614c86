# `make` lists the targets. Two to know: `make demo` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo build test fmt lint-fmt clippy licenses unit browser check bench deny advisories clean-demo

# Cargo.lock is part of the product: nothing here changes it behind your back.
CARGO_FLAGS := --workspace --locked
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
DEMO_PORT ?= 8080
WITH_SERVERS := tests/support/postgres.sh tests/support/clamd.sh tests/support/s3.sh

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# Dev profile: `make test` goes on from what it builds; a release build from nothing takes 20 minutes on two cores.
demo: ## build and run everything on 127.0.0.1:8080 (DEMO_PORT changes it); Ctrl-C ends it
	cargo build --locked --bin interline
	$(TARGET_DIR)/debug/interline demo --port $(DEMO_PORT)

build: ## the binary, for production: target/release/interline
	cargo build --release --locked --bin interline

# --- the gate: what CI runs, cheapest first -----------------------------------------------------------------

test: ## everything CI runs: format, lints, licences, all tests on SQLite and PostgreSQL, the browser
	tests/support/install.sh
	$(MAKE) --no-print-directory lint-fmt
	$(MAKE) --no-print-directory licenses
	$(MAKE) --no-print-directory clippy
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory browser

check: lint-fmt licenses clippy ## the quick part of it, before a commit

fmt: ## format the Rust code
	cargo fmt --all

lint-fmt:
	cargo fmt --all -- --check

clippy: ## lints, warnings are errors
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings

licenses: ## licences, bans and sources of every crate, by deny.toml
	python3 tests/support/licenses.py

# Dev profile on purpose: its dependencies are built once, with optimisation (Cargo.toml), for the binary, the
# tests and the browser. nextest does not run doc tests, `cargo test` does.
unit: ## the Rust tests, kill tests included, with a private PostgreSQL, clamd and S3-compatible store
	cargo build --locked --bin interline
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo test $(CARGO_FLAGS) --doc --quiet; \
	  $(WITH_SERVERS) cargo nextest run $(CARGO_FLAGS) --no-fail-fast; \
	else \
	  $(WITH_SERVERS) cargo test $(CARGO_FLAGS) --no-fail-fast; \
	fi

browser: ## our widget and the published kore-web-sdk in Chromium against target/debug/interline
	cargo build --locked --bin interline
	INTERLINE_BIN="$(abspath $(TARGET_DIR))/debug/interline" node --test tests/browser/*.test.mjs

# --- on demand ----------------------------------------------------------------------------------------------

bench: ## every figure that we promise, on this machine (release build, private PostgreSQL); bench/main.rs lists the parts
	tests/support/install.sh
	cargo build --release --locked --bin interline
	cargo build --release --locked -p interline-tests --bin bench
	ulimit -n "$$(ulimit -Hn)"; tests/support/postgres.sh $(TARGET_DIR)/release/bench

# `make test` has the licence gate of its own; this one reads the licence files too. Compiles cargo-deny once.
deny: ## the whole of deny.toml but for the advisories
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

advisories: ## known vulnerabilities in our dependencies; fetches the advisory database from the internet
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny check advisories

clean-demo: ## forget what the demo remembers
	rm -rf .demo
