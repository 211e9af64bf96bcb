# SPDX-License-Identifier: GPL-2.0-only
# Tests of image files, crit and the model: programs that make and load checkpoints.
IMAGE_TESTS := $(SELF)/image/synth $(SELF)/image/load $(SELF)/image/files
TEST_BINS += $(IMAGE_TESTS)

$(IMAGE_TESTS:=.o): $(SELF)/image/%.o: selftests/image/%.c | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(BUILD)/proto $(CFLAGS) -MMD -MP -c -o $@ $<

$(IMAGE_TESTS): %: %.o $(BUILD)/libstasis.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
