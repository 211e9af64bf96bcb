# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/attach/sessions: $(SELF)/attach/sessions.o $(SELF)/libselftest.a
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/attach/sessions
