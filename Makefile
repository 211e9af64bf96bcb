# SPDX-License-Identifier: GPL-2.0-only
# Stasis. `make`, `make demo`, `make test`; see README.md.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
VERSION := 0.1

# The debug build of the tests: make SANITIZE=1 BUILD=build/asan
SANITIZE ?=
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wno-unused-parameter
OPT ?= -O2 -g
SAN := $(if $(SANITIZE),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer)
CFLAGS += -std=gnu11 $(OPT) $(WARN) $(SAN)
CPPFLAGS += -D_GNU_SOURCE -DSTASIS_VERSION='"$(VERSION)"' -I$(BUILD) -I. -Itool -Ibpf
LDFLAGS += $(SAN)
LDLIBS := -lprotobuf-c -lbpf -lelf -lz -ljson-c -lcap -lpthread

.DELETE_ON_ERROR:
all: $(BUILD)/stasis

# --- generated: messages ------------------------------------------------
PROTO := $(sort $(wildcard proto/*.proto))
PB_H := $(PROTO:proto/%.proto=$(BUILD)/proto/%.pb-c.h)
PB_O := $(PROTO:proto/%.proto=$(BUILD)/proto/%.pb-c.o)

$(BUILD)/proto/%.pb-c.c $(BUILD)/proto/%.pb-c.h &: proto/%.proto
	@mkdir -p $(@D)
	protoc-c --proto_path=proto --c_out=$(BUILD)/proto $<

# One header that includes every message.
$(BUILD)/proto/stasis.pb-c.h: $(PB_H)
	@printf '#include "proto/%s"\n' $(notdir $(PB_H)) > $@

# protoc-c's output is not ours to hold to our warnings.
$(BUILD)/proto/%.pb-c.o: $(BUILD)/proto/%.pb-c.c $(PB_H)
	$(CC) $(CPPFLAGS) -I$(BUILD)/proto $(filter-out $(WARN),$(CFLAGS)) -c -o $@ $<

# --- the tool -----------------------------------------------------------
TOOL_C := $(sort $(wildcard tool/*/*.c))
TOOL_S := $(sort $(wildcard tool/*/*.S))
GEN_H := $(BUILD)/proto/stasis.pb-c.h
EXTRA_O :=
-include $(wildcard parasite/build.mk bpf/build.mk)

TOOL_O := $(TOOL_C:%.c=$(BUILD)/%.o) $(TOOL_S:%.S=$(BUILD)/%.o)
LIB_O := $(filter-out $(BUILD)/tool/cli/main.o,$(TOOL_O)) $(PB_O) $(EXTRA_O)

$(BUILD)/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(BUILD)/proto $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

# Everything but main(), for the tests to link with.
$(BUILD)/libstasis.a: $(LIB_O)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/stasis: $(BUILD)/tool/cli/main.o $(BUILD)/libstasis.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(TOOL_O:.o=.d)
-include $(wildcard selftests/build.mk qemu/build.mk docs/build.mk)

# --- housekeeping -------------------------------------------------------
FILES = $(wildcard $(shell git ls-files --cached --others --exclude-standard))
FORMATTED = $(filter %.c %.h,$(FILES))
SCRIPTS = $(shell grep -lE '^\#!.*[/ ](ba|da)?sh$$' $(filter-out %.patch,$(FILES)))

format:
	clang-format -i $(FORMATTED)

lint:
	clang-format --dry-run -Werror $(FORMATTED)
	shellcheck -x $(SCRIPTS)

# Debian packages that are missing here are installed; nothing else is changed.
deps:
	.ci/deps

clean:
	rm -rf $(BUILD)

install: $(BUILD)/stasis
	install -D -m 755 $(BUILD)/stasis $(DESTDIR)$(PREFIX)/sbin/stasis

.PHONY: all format lint deps clean install
