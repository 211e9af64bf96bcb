# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/bench/object: $(SELF)/bench/object.o
	$(CC) -pthread -o $@ $^
TEST_BINS += $(SELF)/bench/object
