# SPDX-License-Identifier: GPL-2.0-only
VALIDATION_TESTS := $(addprefix $(SELF)/validation/,parts files)

$(VALIDATION_TESTS:=.o): $(SELF)/validation/%.o: selftests/validation/%.c | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I. -Iselftests $(CFLAGS) -MMD -MP -c -o $@ $<
$(VALIDATION_TESTS): %: %.o $(SELF)/libselftest.a $(BUILD)/libstasis.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(SELF)/validation/holder: $(SELF)/validation/holder.o
	$(CC) -o $@ $^
TEST_BINS += $(VALIDATION_TESTS) $(SELF)/validation/holder
