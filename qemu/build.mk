# SPDX-License-Identifier: GPL-2.0-only
# Targets that need a kernel of their own. KERNEL, TOPICS and VM_FLAGS go through to qemu/vm.

VM := qemu/vm
TOPICS ?=
VM_FLAGS ?=

# The kernel selftests on the stock and on the patched kernel.
vm-test: deps
	$(VM) test $(VM_FLAGS) $(TOPICS)

# The same on a kernel with lockdep, KASAN and other checks, which takes long to build and to run.
test-debug: deps
	$(VM) test --kernel debug --set debug $(VM_FLAGS) $(TOPICS)

# The series patch by patch: each applies, compiles without a warning, boots and passes its topic's tests.
# From nothing this takes an hour and a half to two hours of two CPUs; patches that did not change since are not done again.
test-patches: deps
	$(VM) check --boot $(VM_FLAGS) $(TOPICS)

# The four problems on Debian's and on the patched kernel, side by side.
kernel-demo: deps
	$(MAKE) all selftests
	selftests/kernel/demo

vm-build: deps
	$(VM) build

lint-vm:
	cd qemu && shellcheck -x vm host-fits selftest/run lib/*.sh guest/*.sh ccache/gcc
lint: lint-vm

.PHONY: vm-test test-debug test-patches kernel-demo vm-build lint-vm

# The workshop's own tests; with guests they take a few minutes more.
vm-selftest: deps
	qemu/selftest/run --guests
.PHONY: vm-selftest
