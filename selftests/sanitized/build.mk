# SPDX-License-Identifier: GPL-2.0-only
# The tool and its tests with AddressSanitizer and UndefinedBehaviorSanitizer, beside the
# fuzz targets and from the same objects.
FAULTY := $(SELF)/sanitized/faulty

$(FAULTY).o: selftests/sanitized/faulty.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(FAULTY): $(FAULTY).o
	$(CC) $(LDFLAGS) -o $@ $^

# All test programs but the fuzz targets.
SANITIZED = $(BUILD)/stasis $(FAULTY) $(filter-out $(FUZZ_TARGETS),$(TEST_BINS))
sanitized: $(FUZZ)/libstasis.a
	@+$(MAKE) --no-print-directory -s BUILD=$(FUZZ) CC=$(FUZZ_CC) SANITIZE= SAN='$(FUZZ_SAN)' \
		OPT='-O1 -g $(FUZZ_SAN) -fsanitize=fuzzer-no-link' $(SANITIZED:$(BUILD)/%=$(FUZZ)/%)
selftests: sanitized
.PHONY: sanitized
