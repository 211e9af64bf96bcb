#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# stasis monitor start, stop, status, show: what they say and leave behind.
cd "$(dirname "$0")/../.." || exit 1
. selftests/monitor/lib.sh
dir=/sys/fs/bpf/stasis

out_like() { grep -q -- "$1" "$tmp/out" || { echo "stdout has nothing like: $1"; false; }; }
json() { python3 -c "import json, sys
d = json.load(open(sys.argv[1]))
$1" "$tmp/out" "${@:2}"; }
# refused WORDS ARGS...: the command fails, and says why
refused() {
	run monitor "${@:2}"
	exited 1 && err_has "$1"
}
# What is pinned there, and every program and map of ours.
pinned() { find /sys/fs/bpf -mindepth 1 ! -name '*.debug'; }
nothing_pinned() { [ -z "$(pinned)" ] || { pinned; false; }; }

start_monitor "$stasis"
run monitor stop
ok 'status without a monitor fails and says why' refused 'no monitor is running' status
ok 'show without a monitor fails and says why' refused 'no monitor is running' show
ok 'stop without a monitor fails and says why' refused 'no monitor is running' stop
ok 'a limit out of range is refused' refused 'not between' start --limit 3
ok 'a limit that is no number is refused' refused 'not a number' start --limit 12x
ok 'an unknown subcommand is refused' refused 'no such subcommand' begin
mkdir "$dir" && chmod 755 "$dir"
ok 'a folder that others can enter is refused' refused 'not for root alone' start
rmdir "$dir"
ok 'a folder elsewhere is refused' refused 'not on a BPF file system' start --folder "$tmp/x"
ok 'nothing is left behind by that' nothing_pinned

as_nobody() {
	chmod 755 "$tmp"
	cp "$stasis" "$tmp/stasis"
	status=0
	setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/stasis" monitor "$1" \
		>"$tmp/out" 2>"$tmp/err" || status=$?
	exited 1 && err_has 'root'
}
ok 'another user than root is told so by start' as_nobody start

# By a name that is only its own.
cp "$stasis" "$tmp/stasis$$"
start_monitor "$tmp/stasis$$"
started() { exited 0 && [ "$(stat -c %a "$dir")" = 700 ] && ! pgrep -x "stasis$$"; }
ok 'start ends well, its folder is for root alone, no process stays' started
ok 'a second start is refused' refused 'running already' start
ok 'another user than root is told so by show' as_nobody show
run monitor status
ok 'status: nothing lost' out_has ' 0 to the limit, 0 to lack of memory, 0 events missed'
run monitor status --json
ok 'status as JSON' json 'assert d["running"] and d["births"] > 0 and d["lost_to_limit"] == 0'

# A double fork: the daemon's parent and its parent are gone.
# shellcheck disable=SC2016
double_fork='(setsid sh -c "(sleep 1000 & echo \$! >$0)")
until [ "$(cat /proc/$(cat $0)/comm)" = sleep ]; do :; done'
sh -c "$double_fork" "$tmp/pid"
pid=$(cat "$tmp/pid")
run monitor show "$pid"
known() {
	out_like '^complete' && out_like "^caba .*$$, [34] generations up" && out_like 'session .*, born'
}
ok 'show PID: the caba of a double fork' known
run monitor show
ok 'show: both trees and what happened' out_like "^ *$pid sleep *([0-9]*) *$$ .*parent ("
run monitor show --json
ok 'show as JSON' json 't = [t for t in d["tasks"] if t["pid"] == int(sys.argv[2])][0]
assert t["complete"] and t["caba"]["pid"] == int(sys.argv[3]) and t["session"]["how"] == "born", t
assert any(e["what"] == "reparent" for e in t["events"]), t' "$pid" $$
kill "$pid"
run monitor show $$
ok 'a process older than the monitor is said to be incomplete' out_has \
	'incomplete  its birth was not seen'
ok 'show of a process that is not there fails' refused 'no such process' show 999999999
ok 'show of something that is no pid fails' refused 'not a pid' show 12x

# Inside a pid namespace: its own numbers, and only its own processes.
status=0
# shellcheck disable=SC2016
unshare --pid --fork --mount-proc sh -c "$double_fork; "'"$1" monitor show --json' "$tmp/pid" "$stasis" \
	>"$tmp/out" 2>"$tmp/err" || status=$?
inside() {
	exited 0 && json 'a = {t["comm"]: t for t in d["tasks"]}
s = a["sleep"]
assert {t["pid"] for t in d["tasks"]} <= set(range(1, 20)), d
assert s["caba"]["pid"] == 1 and s["complete"] and s["parent"] == 1, s
assert s["pids"][-1]["pid"] == s["pid"] and s["pids"][-2]["pid"] != s["pid"], s'
}
ok 'show inside a pid namespace' inside

# A session that is entered from outside: ioctl(pidfd, PIDFD_ATTACH_SESSION).
attach='import fcntl, os, subprocess
null = subprocess.DEVNULL
leader = subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=null)
def enter():
	fcntl.ioctl(os.pidfd_open(leader.pid), 0xff40, 0)
print(leader.pid, subprocess.Popen(["sleep", "1000"], preexec_fn=enter, stdout=null).pid)'
if "$stasis" check --feature attach_session >/dev/null 2>&1; then
	read -r leader member < <(python3 -c "$attach")
	run monitor show "$member"
	ok 'show: a session that was entered by PIDFD_ATTACH_SESSION' out_like "session .*$leader, attached by $member"
	kill "$leader" "$member"
else
	skip 'show: a session that was entered by PIDFD_ATTACH_SESSION' 'the kernel has no such call'
fi

run monitor stop
ok 'stop leaves nothing' nothing_pinned
again() {
	run monitor start
	exited 0 && run monitor stop && exited 0 && nothing_pinned
}
ok 'it can be started again' again
leftover() {
	mkdir -m 700 "$dir" "$dir/new" && again
}
ok 'what a killed start left behind does not matter' leftover
# Sleepers enough for any machine to be beyond the least limit.
beyond() {
	local pids=() sleepers

	for _ in {1..70}; do
		sleep 1000 &
		pids+=($!)
	done
	sleepers="${pids[*]}"
	run monitor start --limit 64
	exited 0 && err_has 'more processes than the limit of 64' && run monitor status --json &&
		json 'assert d["lost_to_limit"] > 0 and d["used"] <= 64, d' && run monitor show --json &&
		json 'wanted = set(map(int, sys.argv[2].split()))
mine = [t for t in d["tasks"] if t["pid"] in wanted]
assert len(mine) == 70 and not any(t["complete"] for t in mine), mine
assert any("no-record" in t["doubts"] for t in mine), mine' "$sleepers"
	local result=$?
	# shellcheck disable=SC2086
	kill $sleepers
	wait
	run monitor stop
	return $result
}
ok 'a limit that is too small is said at the start, and of each process' beyond 2>/dev/null
# Where functions can be traced, --light changes nothing.
light() {
	run monitor start --light
	exited 0 && run monitor status && exited 0 || return
	if grep -q 'session, group .*late' "$tmp/out"; then
		run monitor show $$ && out_has 'incomplete  changes of session and group'
	fi
}
ok 'start --light: what may be missing is said' light
run monitor stop
two() {
	run monitor start && exited 0 && run monitor start --folder /sys/fs/bpf/other && exited 0 &&
		run monitor stop && exited 0 && run monitor status --folder /sys/fs/bpf/other &&
		exited 0 && run monitor stop --folder /sys/fs/bpf/other && exited 0 && nothing_pinned
}
ok 'two monitors in two folders do not disturb each other' two
without_bpffs() {
	while umount /sys/fs/bpf 2>/dev/null; do :; done
	[ "$(stat -f -c %T /sys/fs/bpf)" != bpf_fs ] && run monitor start && exited 0 &&
		[ "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs ] && run monitor stop && exited 0
}
ok 'start mounts the BPF file system where it is missing' without_bpffs
finish
