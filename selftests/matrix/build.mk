# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/matrix/matrix: $(SELF)/matrix/matrix.o $(SELF)/libselftest.a
	$(CC) -o $@ $^
TEST_BINS += $(SELF)/matrix/matrix
