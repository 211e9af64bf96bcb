# SPDX-License-Identifier: GPL-2.0-only
FACTORY_O := $(patsubst %.c,$(BUILD)/%.o,$(wildcard selftests/factory/*.c))
$(SELF)/factory/factory: $(FACTORY_O)
	$(CC) -pthread -o $@ $^ -lcap -lm -lutil
TEST_BINS += $(SELF)/factory/factory
