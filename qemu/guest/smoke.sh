#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the guest of qemu/vm check --boot: smoke.sh LABEL. Says which kernel this is, and uses once what the patches change
# in a kernel that has all of them or none: sessions, pid namespaces, page maps, exec.
set -eu

uname -a
case $(uname -v) in
"#$1 "*) ;;
*) echo "this is not the kernel that was built for $1" && exit 1 ;;
esac
[ "$(setsid --wait sh -c 'echo "$$ $(cut -d " " -f 6 /proc/$$/stat)"' | tr ' ' '\n' | uniq | wc -l)" = 1 ] ||
	{ echo "setsid gives no session" && exit 1; }
[ "$(unshare --pid --fork --mount-proc sh -c 'echo $$')" = 1 ] || { echo "the first process of a pid namespace is not 1" && exit 1; }
[ "$(head -c 8 /proc/self/pagemap | wc -c)" = 8 ] || { echo "no page map" && exit 1; }
grep -q -m1 '^processor' /proc/cpuinfo || { echo "no CPU" && exit 1; }
echo 'smoke: ok'
