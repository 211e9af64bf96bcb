# SPDX-License-Identifier: GPL-2.0-only
# The monitor's programs, embedded through a libbpf skeleton. clang 14 is Debian bookworm's.

BPF_CLANG ?= $(firstword $(shell command -v clang-14) $(CLANG))
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter \
	-Wno-missing-declarations -D__TARGET_ARCH_x86 -Ibpf -idirafter /usr/include/$(shell uname -m)-linux-gnu

$(BUILD)/bpf/caba.bpf.o: bpf/caba.bpf.c bpf/caba.h bpf/tree.h bpf/record.h bpf/change.h bpf/kernel.h
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BUILD)/bpf/caba.skel.h: $(BUILD)/bpf/caba.bpf.o
	$(BPFTOOL) gen skeleton $< name caba > $@

$(BUILD)/tool/monitor/load.o: $(BUILD)/bpf/caba.skel.h
