# The front door for people: each target does its own set-up.

CARGO ?= cargo

.PHONY: help demo test lint setup clean

help:
	@echo "make demo    the main job on real input: new, build, check, verify on a real kernel"
	@echo "make test    the whole test suite; boots kernels in QEMU"
	@echo "make lint    formatting, clippy, rustdoc"
	@echo "make setup   installs what the other targets need; they do it themselves"
	@echo "make clean   removes the build directory"

demo:
	@scripts/setup demo
	$(CARGO) build --locked
	@scripts/demo

test:
	@scripts/setup test
	$(CARGO) test --locked --doc --quiet
	$(CARGO) nextest run --locked --no-fail-fast

lint:
	@scripts/setup demo
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items --quiet

setup:
	@scripts/setup test

clean:
	$(CARGO) clean
