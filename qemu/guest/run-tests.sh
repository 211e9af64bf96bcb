#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs in the guest: run-tests.sh DIR TOPIC SCALE PROGRAM... runs the test programs in DIR and writes KTAP to the port.
# What a program prints is nested below its own line; its time limit is that of kselftest's file `settings` times SCALE.
# With TOPIC 'tool', DIR is the checkout and the programs are those of selftests/run, which has limits of its own.
dir=$1
topic=$2
scale=$3
shift 3
cd "$dir" || exit 1
exec 4>/run/stasis/ktap || exit 1

limit=45
# shellcheck disable=SC1091
[ ! -e settings ] || limit=$(sed -n 's/^timeout=\([0-9]*\).*/\1/p' settings)
limit=$((${limit:-45} * scale))
# kselftest's way of saying 'no limit'.
[ "$limit" -ne 0 ] || limit=86400

# KTAP lines are nested by two spaces, everything else becomes a diagnostic. The last line ends even if the program left it open.
nest() {
	sed -u -E -e 's/\r$//' -e 's/^TAP version 13$/KTAP version 1/' \
		-e '/^ *((not )?ok( |$)|1\.\.[0-9]|#|KTAP version)/!s/^/# /' -e 's/^/  /' -e "\$a\\"
}

# selftests/run judges a program; what the program printed is in its log. All skipped counts as failure there, not here.
run_tool() {
	out=$(selftests/run --timeout-factor "$scale" "$1" 2>&1 </dev/null)
	rc=$?
	cat "build/selftests/logs/$1.tap"
	case $out in
	*', 0 failed, '[1-9]*' skipped') rc=0 ;;
	esac
	[ "$rc" -eq 0 ] || printf '%s\n' "$out"
	return "$rc"
}

run_program() {
	if [ "$topic" = tool ]; then
		run_tool "$1"
	else
		timeout -k 5 "$limit" "./$1" 2>&1 </dev/null
	fi
}

# A program that leaves processes behind would hold the pipe to nest() open, and disturb the next one. A cgroup finds
# them, whatever session or namespace they are in.
group=/sys/fs/cgroup/stasis-test
mkdir -p "$group"

join_group() {
	if [ -w "$group/cgroup.procs" ]; then echo 0 >"$group/cgroup.procs"; fi
}

end_group() {
	[ -w "$group/cgroup.kill" ] || return 0
	left=$(while read -r pid; do cat "/proc/$pid/comm" 2>/dev/null; done <"$group/cgroup.procs" | sort | uniq -c | sed 's/^ *//' | tr '\n' ' ')
	[ -z "$left" ] || printf '\n# left running: %s\n' "$left"
	echo 1 >"$group/cgroup.kill"
}

echo "KTAP version 1" >&4
echo "1..$#" >&4
echo "# kernel: $(uname -rv)" >&4
echo "# cpu: $(nproc) x $(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)" >&4
n=0
for program in "$@"; do
	n=$((n + 1))
	# Splats can be told apart by the test during which they came.
	echo "stasis: $topic/$program" >/dev/kmsg
	start=$(cut -d ' ' -f 1 /proc/uptime)
	{
		{
			(join_group; run_program "$program" 4>&-)
			echo $? >/run/stasis/status
			end_group
		} | nest >&4
	}
	status=$(cat /run/stasis/status)
	awk -v start="$start" '{ printf "# took %.2f s\n", $1 - start }' /proc/uptime >&4
	case $status in
	0) echo "ok $n $program" >&4 ;;
	4) echo "ok $n $program # SKIP" >&4 ;;
	124 | 137) echo "not ok $n $program # TIMEOUT after $limit seconds" >&4 ;;
	*) echo "not ok $n $program # exit=$status" >&4 ;;
	esac
done
exit 0
