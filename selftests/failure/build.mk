# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/failure/worker: $(SELF)/failure/worker.o
	$(CC) -pthread -o $@ $^
$(SELF)/failure/kill $(SELF)/failure/kill_restore: $(SELF)/failure/moments.o
$(SELF)/failure/%: $(SELF)/failure/%.o $(SELF)/libselftest.a
	$(CC) -o $@ $^
TEST_BINS += $(addprefix $(SELF)/failure/,worker kill kill_restore images)
