# Targets for people and for .ci/run. `make` alone lists them.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PYTHON := $(TARGET)/venv/bin/python

.PHONY: help test test-rust test-models test-python test-module test-tools bench lint install

help:
	@echo 'make test    install what the tests need, then run all of them'
	@echo 'make lint    formatting, clippy and documentation, warnings denied'
	@echo 'make bench   benchmarks: half an hour on an idle machine'
	@echo 'make install PREFIX=/usr/local   libantcache for C: libraries, header, manual page, pkg-config'

test: test-tools test-rust test-models test-python test-module

# Debian packages, and a virtual environment with pinned Python packages.
test-tools:
	tests/setup.sh $(TARGET)/venv

test-rust: test-tools
	$(CARGO) test --workspace --all-features

# Every interleaving of the protocols between threads. --cfg loom changes all crates, hence a directory of its own.
test-models:
	RUSTFLAGS='--cfg loom' $(CARGO) test --target-dir $(TARGET)/loom --package ant-cache-host --lib

# The program from outside, by a stock client.
test-python: test-tools
	$(CARGO) build --package ant-cache-cli
	$(PYTHON) -m pytest --rootdir tests/python -p no:cacheprovider --server $(TARGET)/debug/ant-cache-cli tests/python

# The Python module: its wheel, installed, against the servers that it brings.
test-module: test-tools
	rm -rf $(TARGET)/wheels
	$(PYTHON) -m maturin build --profile dev --manifest-path python/Cargo.toml --out $(TARGET)/wheels
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(TARGET)/wheels/*.whl
	$(PYTHON) -m pytest --rootdir python/tests -p no:cacheprovider --wheels $(TARGET)/wheels python/tests

# The parts by criterion, then the server beside redis-server and memcached: two idle cores, half an hour.
bench: test-tools
	$(CARGO) bench --workspace --all-features
	python3 scripts/measure.py compare
	python3 scripts/measure.py workers
	python3 scripts/measure.py poll
	python3 scripts/measure.py keys
	python3 scripts/measure.py idle
	python3 scripts/measure.py metrics --rounds 15
	python3 scripts/persistence.py interval
	python3 scripts/persistence.py always
	python3 scripts/persistence.py snapshot
	python3 scripts/persistence.py startup
	$(CARGO) run --release --package ant-cache-cli -- bench --suite full --out $(TARGET)/bench-results --update docs/PERFORMANCE.md
	python3 scripts/c_bench.py

lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path examples/no_std/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --manifest-path examples/no_std/Cargo.toml --target-dir $(TARGET)/no_std --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

# The C library. With PROFILE=dev one that knows freed objects.
PREFIX ?= /usr/local
PROFILE ?= release
install:
	$(CARGO) build --package ant-cache-ffi --profile $(PROFILE) --locked
	ffi/install.sh $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE)) $(PREFIX)
