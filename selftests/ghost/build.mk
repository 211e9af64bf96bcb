# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/ghost/keeper: $(SELF)/ghost/keeper.o
	$(CC) -o $@ $^
$(SELF)/ghost/no_tmpfile.so: selftests/ghost/no_tmpfile.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(SELF_CFLAGS) -shared -fPIC -o $@ $<
TEST_BINS += $(addprefix $(SELF)/ghost/,keeper no_tmpfile.so)
