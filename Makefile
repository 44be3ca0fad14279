# The everyday commands, thin over tools/setup.sh, meson and pytest. `make help` lists them.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
# CONFIG=file: what `make run` starts the gateway with; without one, its demonstration.
CONFIG ?=
# Further options for `meson setup`, as -Dwerror=true.
MESON_OPTIONS ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PYTHON ?= $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || echo python3)
NINJA = ninja -C $(BUILD) -j$(JOBS)
PYTESTS = $(wildcard tests/arch tests/bench tests/layers tests/headers tests/install tests/probe tests/docs tests/models tests/gdb tests/pitfalls tests/integration)

.PHONY: all help setup run test unit tests-built check stress lint format format-check bench bench-primitives install clean

all: setup $(BUILD)/build.ninja ## build the library, the gateway and the examples into build/ (what is missing is installed)
	@$(NINJA)

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-24s %s\n", $$1, $$2 }'

setup:
	@tools/setup.sh run

$(BUILD)/build.ninja: | setup
	@meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_OPTIONS) >/dev/null || { tail -n 30 $(BUILD)/meson-logs/meson-log.txt; exit 1; }
	@echo $(PREFIX) >$(BUILD)/.prefix

run: setup $(BUILD)/build.ninja ## start the gateway's demonstration (CONFIG=file: the gateway with that file)
	@$(NINJA) --quiet cygnet
	@exec $(BUILD)/cygnet $(if $(CONFIG),gateway -c $(CONFIG),demo)

test: tests-built ## all tests: unit, then layers, headers, install, models and integration with real peers
	@status=0; \
	meson test -C $(BUILD) --no-rebuild --print-errorlogs || status=1; \
	CYGNET_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider --junitxml=$(BUILD)/pytest.xml $(PYTESTS) || status=1; \
	exit $$status

unit: tests-built ## the unit tests alone
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs

# meson remembers that a header was not there even if it is told to look again. It may have been installed for the tests just now, so
# meson forgets all but the options that it was given (with --wipe it would delete what has been built, too).
tests-built:
	@tools/setup.sh test
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@test -e $(BUILD)/.tests || { : >$(BUILD)/meson-private/coredata.dat && meson setup --reconfigure $(BUILD) -Dtests=enabled; } >/dev/null
	@touch $(BUILD)/.tests
	@$(NINJA) --quiet

check: ## what CI runs beyond the tests: both compilers, sanitizers, fuzzing, fallbacks, lint, layout
	@.ci/run --checks-only

stress: ## the runtime's tests for hours: 1 to 8 Ps, plain and sanitizers, fallbacks, 20 random schedules of each
	@tools/setup.sh test check
	@tools/stress.sh

lint: ## lint alone
	@tools/lint.sh

format: ## lay out every C file as .clang-format says
	@tools/setup.sh check
	@git ls-files '*.c' '*.h' | xargs clang-format -i --style=file

format-check: ## list C files that `make format` would change
	@git ls-files '*.c' '*.h' | { bad=0; while read -r f; do \
	clang-format --style=file "$$f" | cmp -s - "$$f" || { echo "not laid out: $$f"; bad=1; }; done; exit $$bad; }

bench: setup $(BUILD)/build.ninja ## measure against floors and peers on two CPUs (about 20 minutes; see bench/README.md)
	@tools/setup.sh bench
	@$(NINJA) --quiet
	@for script in hello proxy; do $(PYTHON) bench/$$script.py --build $(BUILD) || exit 1; done

bench-primitives: setup $(BUILD)/build.ninja ## goroutines, channels, locks and timers beside Go's (4 minutes; JSON=1: an object a line)
	@tools/setup.sh bench
	@$(NINJA) --quiet
	@$(PYTHON) bench/primitives.py --build $(BUILD) $(if $(filter 1,$(JSON)),--json)

install: setup $(BUILD)/build.ninja ## library, headers, cygnet.pc, binary and gdb script under PREFIX (/usr/local), inside DESTDIR
	@top=$(abspath $(DESTDIR))$(PREFIX); mkdir -p "$$top/include/cygnet" 2>/dev/null && test -w "$$top/include/cygnet" || \
	{ echo "$$top cannot be written to: sudo make install, or make install PREFIX=a directory of yours" >&2; exit 1; }
	@test "$$(cat $(BUILD)/.prefix)" = "$(PREFIX)" || meson setup --reconfigure $(BUILD) --prefix=$(PREFIX) >/dev/null
	@echo $(PREFIX) >$(BUILD)/.prefix
	@$(NINJA) --quiet
	@DESTDIR=$(abspath $(DESTDIR)) meson install -C $(BUILD) --no-rebuild --quiet
	@test -n "$(DESTDIR)" || ldconfig 2>/dev/null || true

clean: ## remove what was built
	@rm -rf build build-asan build-tsan build-clang build-fuzz build-bench
