#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# stasis monitor start, stop, status, show: what they say and leave behind.
set -u
stasis=${STASIS:-build/stasis}
dir=/sys/fs/bpf/stasis-test-cli-$$-$RANDOM
tmp=$(mktemp -d)
trap '"$stasis" monitor stop --folder "$dir" 2>/dev/null; rm -rf "$tmp"' EXIT
n=0

if [ "$(id -u)" != 0 ]; then
	echo '# needs root'
	exit 4
fi

mon() {
	"$stasis" monitor "$@" --folder "$dir" >"$tmp/out" 2>"$tmp/err"
}

# result NAME: of the command before
result() {
	local status=$?
	n=$((n + 1))
	if [ $status = 0 ]; then
		echo "ok $n $1"
	else
		sed 's/^/# /' "$tmp/out" "$tmp/err"
		echo "not ok $n $1"
	fi
}

says() {
	grep -q -- "$1" "$tmp/out" "$tmp/err"
}

echo 1..18
! mon status && says 'no monitor is running'
result 'status without a monitor fails and says why'
! mon stop && says 'no monitor is running'
result 'stop without a monitor fails and says why'
! mon start --limit 3 && says 'not between' && [ ! -e "$dir" ]
result 'a limit out of range is refused'
mkdir "$dir" && chmod 755 "$dir"
! mon start && says 'not for root alone'
result 'a folder that others can enter is refused'
rmdir "$dir"
! "$stasis" monitor start --folder "$tmp/x" >"$tmp/out" 2>"$tmp/err" && says 'not on a BPF file system'
result 'a folder elsewhere is refused'
mon start
status=$?
if [ $status != 0 ] && says 'this kernel lacks'; then
	sed 's/^/# /' "$tmp/err"
	exit 4
fi
[ $status = 0 ] && [ "$(stat -c %a "$dir")" = 700 ]
result 'start ends well, its folder is for root alone'
! mon start && says 'running already'
result 'a second start is refused'
mon status && says ' 0 to the limit, 0 to lack of memory, 0 events missed'
result 'status: nothing lost'
mon status --json && python3 -c 'import json,sys; d=json.load(open(sys.argv[1]))
assert d["running"] and d["births"] > 0 and d["lost_to_limit"] == 0' "$tmp/out"
result 'status as JSON'

# A double fork: the daemon's parent and its parent are gone.
# shellcheck disable=SC2016
(setsid sh -c '(sleep 1000 & echo $! >"$0")' "$tmp/pid")
pid=$(cat "$tmp/pid")
mon show "$pid" && says '^complete' && says "^caba .*$$, [23] generations up" && says 'session .*, born'
result 'show PID: the caba of a double fork'
mon show && says "^ *$pid sleep *([0-9]*) *$$ .*parent ("
result 'show: both trees and what happened'
mon show --json && python3 -c 'import json,sys; d=json.load(open(sys.argv[1]))
t=[t for t in d["tasks"] if t["pid"]==int(sys.argv[2])][0]
assert t["complete"] and t["caba"]["pid"]==int(sys.argv[3]) and t["session"]["how"]=="born", t
assert any(e["what"]=="reparent" for e in t["events"]), t' "$tmp/out" "$pid" $$
result 'show as JSON'
mon show $$ && says 'incomplete  its birth was not seen'
result 'a process older than the monitor is said to be incomplete'
! mon show 999999999 && says 'no such process'
result 'show of a process that is not there fails'
kill "$pid"

# A dump asks the monitor of the machine: one that runs already is used and left alone.
ours=
if ! "$stasis" monitor status >/dev/null 2>&1; then
	"$stasis" monitor start >/dev/null 2>&1
	ours=1
fi
mkdir "$tmp/images"
# shellcheck disable=SC2016
setsid sh -c 'echo $$ >"$0"; (sleep 1000 & sleep 1000 & true); sleep 1000' "$tmp/pid" \
	</dev/null >/dev/null 2>&1 &
while [ "$(pgrep -c -s "$(cat "$tmp/pid" 2>/dev/null || echo 1)" -x sleep)" != 3 ]; do sleep 0.01; done
pid=$(cat "$tmp/pid")
"$stasis" dump -t "$pid" -D "$tmp/images" -R >"$tmp/out" 2>"$tmp/err" &&
	[ "$(head -c 8 "$tmp/images/caba.img" | od -An -tx4 | tr -d ' ')" = 5456431953415333 ]
result 'a dump writes what the monitor knows: caba.img'
[ -z "$ours" ] || "$stasis" monitor stop
if [ -n "$ours" ]; then
	"$stasis" dump -t "$pid" -D "$tmp/images" -R >"$tmp/out" 2>"$tmp/err" &&
		[ ! -e "$tmp/images/caba.img" ]
	result 'a dump without a monitor leaves no old caba.img'
else
	n=$((n + 1))
	echo "ok $n a dump without a monitor leaves no old caba.img # SKIP a monitor runs"
fi
kill_session() {
	local p
	for p in $(pgrep -s "$1"); do kill -9 "$p"; done
}
kill_session "$pid"
mon stop && [ ! -e "$dir" ]
result 'stop leaves nothing'
mon start && mon stop && [ ! -e "$dir" ]
result 'it can be started again'
exit 0
