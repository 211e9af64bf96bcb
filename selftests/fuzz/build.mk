# SPDX-License-Identifier: GPL-2.0-only
# Fuzz targets (libFuzzer) over a build of the tool with sanitizers.
FUZZ := $(BUILD)/fuzz
FUZZ_CC ?= $(firstword $(shell command -v clang-14) $(CLANG))
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_TARGETS := $(patsubst selftests/fuzz/%.c,$(FUZZ)/%,$(wildcard selftests/fuzz/fuzz_*.c))
TEST_BINS += $(FUZZ_TARGETS)

# The rules of the tool itself, once more with other flags.
$(FUZZ)/libstasis.a: FORCE
	@+$(MAKE) --no-print-directory -s BUILD=$(FUZZ) CC=$(FUZZ_CC) SANITIZE= \
		OPT='-O1 -g $(FUZZ_SAN) -fsanitize=fuzzer-no-link' $@

$(FUZZ_TARGETS): $(FUZZ)/%: selftests/fuzz/%.c $(wildcard selftests/fuzz/*.h) $(FUZZ)/libstasis.a
	$(FUZZ_CC) $(CPPFLAGS) -I$(FUZZ) -I$(FUZZ)/proto -std=gnu11 -O1 -g $(WARN) $(FUZZ_SAN) \
		-fsanitize=fuzzer -o $@ $< $(FUZZ)/libstasis.a $(LDLIBS)

FORCE:
.PHONY: FORCE
