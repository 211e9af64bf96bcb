#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A test of the monitor on Debian's 6.12, the oldest supported, where the kernel's functions can be traced.
# usage: vm.sh TEST [ARGUMENT...]
cd "$(dirname "$0")/../.." || exit 1
if [ "${STASIS_VM:-}" = 1 ]; then
	echo '# this is a guest already'
	exit 4
fi
# Not to be had is no failure of the monitor's.
if ! why=$(timeout 600 qemu/vm build debian 2>&1 >/dev/null); then
	echo "# no kernel: ${why##*$'\n'}"
	exit 4
fi
exec qemu/vm run --kernel debian --smp 2 --timeout 0 --env BUILD="${BUILD:-build}" -- "$@"
