# SPDX-License-Identifier: GPL-2.0-only
$(SELF)/validation/parts.o: selftests/validation/parts.c | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I. -Iselftests $(CFLAGS) -MMD -MP -c -o $@ $<
$(SELF)/validation/parts: $(SELF)/validation/parts.o $(SELF)/libselftest.a $(BUILD)/libstasis.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(SELF)/validation/holder: $(SELF)/validation/holder.o
	$(CC) -o $@ $^
TEST_BINS += $(addprefix $(SELF)/validation/,parts holder)
