# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/ghost/keeper: $(SELF)/ghost/keeper.o
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/ghost/keeper
