# SPDX-License-Identifier: GPL-2.0-only
# Tests of the process-tree monitor. They start one of their own, beside any that runs.

MONITOR_TESTS := written random storm
MONITOR_LIB_O := $(patsubst %,$(SELF)/monitor/%.o,life judge tap)
MONITOR_LIBS := -lprotobuf-c -lbpf -lelf -lz -ljson-c -lcap -lpthread

$(SELF)/monitor/%.o: selftests/monitor/%.c $(BUILD)/bpf/caba.skel.h
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -I. -Iselftests -Itool -Ibpf -I$(BUILD) $(SELF_CFLAGS) -MMD -MP -c -o $@ $<

$(MONITOR_TESTS:%=$(SELF)/monitor/%): $(SELF)/monitor/%: $(SELF)/monitor/%.o $(MONITOR_LIB_O) $(BUILD)/libstasis.a
	$(CC) $(SAN) -o $@ $^ $(MONITOR_LIBS)

TEST_BINS += $(MONITOR_TESTS:%=$(SELF)/monitor/%)

# Its cost.
$(SELF)/bench/monitor/%.o: selftests/bench/monitor/%.c $(BUILD)/bpf/caba.skel.h
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -I. -Iselftests -Itool -Ibpf -I$(BUILD) $(SELF_CFLAGS) -MMD -MP -c -o $@ $<

$(SELF)/bench/monitor/cost: $(SELF)/bench/monitor/cost.o $(BUILD)/libstasis.a
	$(CC) $(SAN) -o $@ $^ $(MONITOR_LIBS)

TEST_BINS += $(SELF)/bench/monitor/cost
