# SPDX-License-Identifier: GPL-2.0-only
# Sourced first, in the top folder, by the tests of the command: the test goes on in a mount namespace with a
# BPF file system of its own, which goes with the test, and with it any monitor, however the test ends.
# shellcheck shell=bash
if [ "$(id -u)" != 0 ]; then
	echo '# needs root'
	exit 4
fi
if [ "${OWN_BPFFS:-}" != $$ ]; then
	# The pid stays the same.
	OWN_BPFFS=$$ exec unshare --mount --propagation private "selftests/monitor/${0##*/}"
fi
if ! why=$(mount -t bpf bpf /sys/fs/bpf -o mode=0700 2>&1); then
	echo "# $why"
	exit 4
fi

. selftests/cli/tap.sh

# start_monitor STASIS: by that program. A skip where the kernel cannot have one.
start_monitor() {
	local stasis=$1

	run monitor start
	if [ "$status" != 0 ] && grep -q 'this kernel lacks' "$tmp/err"; then
		sed 's/^/# /' "$tmp/err"
		exit 4
	fi
}
