# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/demo/keeper: $(SELF)/demo/keeper.o
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/demo/keeper
