# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/bench/object: $(SELF)/bench/object.o
	$(CC) -pthread -o $@ $^
$(SELF)/bench/timed: $(SELF)/bench/timed.o
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/bench/object $(SELF)/bench/timed
