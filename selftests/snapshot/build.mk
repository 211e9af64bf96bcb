# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/snapshot/snapshot: $(SELF)/snapshot/snapshot.o $(SELF)/libselftest.a
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/snapshot/snapshot
