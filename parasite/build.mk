# SPDX-License-Identifier: GPL-2.0-only
# The stub as a flat binary inside the tool (stub_text .. stub_text_end).

STUB_CFLAGS := -std=gnu11 -O2 $(WARN) -ffreestanding -fPIC -fno-stack-protector -fomit-frame-pointer \
	-fno-asynchronous-unwind-tables -fno-jump-tables -fcf-protection=none -fvisibility=hidden \
	-fno-builtin -mgeneral-regs-only -mno-red-zone

EXTRA_O += $(BUILD)/parasite/embed.o

$(BUILD)/parasite/stub.o: parasite/stub.c
	@mkdir -p $(@D)
	$(CC) -I. -Itool $(STUB_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/parasite/stub.bin: $(BUILD)/parasite/stub.o parasite/stub.lds
	$(LD) -nostdlib -T parasite/stub.lds -o $@ $<

$(BUILD)/parasite/embed.o: parasite/embed.S $(BUILD)/parasite/stub.bin
	$(CC) -DSTUB_BIN='"$(BUILD)/parasite/stub.bin"' -c -o $@ $<

-include $(BUILD)/parasite/stub.d
