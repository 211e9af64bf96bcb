# SPDX-License-Identifier: GPL-2.0-only
# The tests of the tool. Every folder here may have a build.mk that adds to TEST_BINS and a
# `tests` file that lists programs for selftests/run.

TEST_BINS :=
SELF := $(BUILD)/selftests
SELF_LIB_O := $(patsubst %.c,$(BUILD)/%.o,$(filter-out selftests/lib/reaper.c,$(wildcard selftests/lib/*.c)))

# Test programs are built the same way whatever the tool is built with: what is
# dumped should not carry a sanitizer's terabytes of shadow memory.
SELF_CFLAGS := -std=gnu11 -O2 -g $(WARN)

$(BUILD)/selftests/%.o: selftests/%.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -I. -Iselftests -I$(BUILD) $(SELF_CFLAGS) -MMD -MP -c -o $@ $<

$(SELF)/libselftest.a: $(SELF_LIB_O)
	@rm -f $@
	$(AR) rcs $@ $^

$(SELF)/reaper: $(SELF)/lib/reaper.o
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/reaper

include $(wildcard selftests/*/build.mk)
-include $(wildcard $(SELF)/*/*.d)

selftests: $(TEST_BINS)

# Everything: the tests of the tool, on this machine's kernel or, where that will not do, in a guest; and among
# them those that boot kernels of their own.
TESTS ?=
ON_FITTING_HOST = qemu/host-fits --or-vm --mem 4G --smp 2 --rw $(BUILD) --
# A guest cannot boot guests: on a machine that does not fit, the kernels' tests come first. Status 4: skipped, which it says.
test: deps
	$(MAKE) all selftests
	@kernels=0 tool=0; \
	if [ -z "$(TESTS)" ] && ! qemu/host-fits >/dev/null; then \
		qemu/vm test --kernel debian --kernel patched --build-limit 2700 || kernels=$$?; \
	fi; \
	$(ON_FITTING_HOST) selftests/run $(RUN_FLAGS) $(TESTS) || tool=$$?; \
	case $$kernels in 0 | 4) exit $$tool ;; esac; \
	echo "The tests of the kernels, which came before these, failed: build/results/selftests.txt" >&2; exit 1

demo: deps
	$(MAKE) all selftests
	$(ON_FITTING_HOST) selftests/demo/run

bench: deps
	$(MAKE) all selftests
	selftests/bench/run $(BENCH_FLAGS)

.PHONY: selftests test demo bench
