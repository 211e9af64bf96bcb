# SPDX-License-Identifier: GPL-2.0-only
# Tests of the command line: its parser, and the program as a user meets it.
TEST_BINS += $(SELF)/cli/parse

$(SELF)/cli/parse.o: CPPFLAGS += -Itool
$(SELF)/cli/parse.o: selftests/cli/parse.c | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(BUILD)/proto $(CFLAGS) -MMD -MP -c -o $@ $<

$(SELF)/cli/parse: $(SELF)/cli/parse.o $(BUILD)/libstasis.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
