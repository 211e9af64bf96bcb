#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# caba.img: what a dump writes of the births when a monitor runs, and that none is needed.
cd "$(dirname "$0")/../.." || exit 1
. selftests/monitor/lib.sh
images=$tmp/images
mkdir "$images"

# A family whose first member gets the orphans: the two children of a session's leader, which is gone as its parent is.
# shellcheck disable=SC2016
family='trap "" TERM
(setsid sh -c "sleep 1000 & echo \$! >$0.one; sleep 1000 & echo \$! >$0.two" &)
until [ "$(cat /proc/$(cat $0.two)/comm)" = sleep ]; do :; done 2>/dev/null
echo $$ >$0.first; while :; do wait; done'
start_family() {
	rm -f "$tmp"/pid.*
	setsid python3 -c 'import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
os.execvp("sh", ["sh", "-c", sys.argv[1], sys.argv[2]])' "$family" "$tmp/pid" \
		</dev/null >/dev/null 2>&1 &
	disown
	while [ ! -s "$tmp/pid.first" ]; do sleep 0.01; done
	first=$(cat "$tmp/pid.first") one=$(cat "$tmp/pid.one") two=$(cat "$tmp/pid.two")
}
end_family() {
	kill -9 "$first" "$one" "$two" 2>/dev/null
	while kill -0 "$first" || kill -0 "$one" || kill -0 "$two"; do sleep 0.01; done 2>/dev/null
}
# What ps knows of them.
relations() { ps -o pid=,ppid=,pgid=,sid= -p "$first,$one,$two"; }

dump() { run dump -t "$first" -D "$images" "$@"; }
# caba PYTHON: with the image's entries in e, by pid in p, and the three pids
caba() {
	"$stasis" crit decode -i "$images/caba.img" -o "$tmp/out" && python3 -c "import json, sys
e = json.load(open(sys.argv[1]))['entries']
p = {t['pid']: t for t in e if 'pid' in t}
first, one, two = map(int, sys.argv[2:])
$1" "$tmp/out" "$first" "$one" "$two"
}

start_monitor "$stasis"
start_family
dump -R
written() { exited 0 && [ -s "$images/caba.img" ]; }
ok 'a dump beside a monitor writes caba.img' written
ok 'an entry for each task, complete, and one for the joint' caba '
assert set(p) == {first, one, two} and len(e) == 4, e
assert not any(t["doubts"] for t in p.values()), e
assert [t["pids"][-1]["pid"] for t in e[:3]] == [t["pid"] for t in e[:3]], e'
ok 'both orphans meet in the process that is gone, and that in the first' caba '
joint = e[p[one]["above"]]
assert joint == e[p[two]["above"]] and "pid" not in joint, joint
assert e[joint["above"]] == p[first] and "above" not in p[first], joint
assert not p[one]["above_doubts"] and not joint["above_doubts"], e
assert p[one]["birth"]["host_pid"] == joint["host_pid"] and p[one]["birth"]["start"] == joint["start"], e'
ok 'their closest living ancestor by birth is the first' caba '
for t in one, two:
	assert p[t]["caba_host_pid"] == p[first]["host_pid"] and p[t]["caba_start"] == p[first]["start"], e'
ok 'how they came to session and group' caba '
joint = e[p[one]["above"]]
assert p[first]["session"]["how"] == "SETSID" and p[first]["group"]["how"] == "SETSID", e
for t in one, two:
	for what in "session", "group":
		assert p[t][what]["how"] == "BORN", e
		assert p[t][what]["host_pid"] == joint["host_pid"], e
	assert any(v["what"] == "REPARENT" for v in p[t]["events"]), e'
ok 'the first is noted as a subreaper' caba 'assert p[first]["flags"] == 16, p[first]'
shown() { run crit show "$images/caba.img" && exited 0 && out_has '"magic": "CABA"' && out_has REPARENT; }
ok 'crit show reads it' shown
encoded() {
	run crit encode -i <("$stasis" crit show "$images/caba.img") -o "$tmp/again" && exited 0 &&
		cmp "$images/caba.img" "$tmp/again"
}
ok 'crit encode gives the same bytes again' encoded

dump
ok 'a dump that ends the tasks writes it too' written
end_family
restored() {
	run restore -d -D "$images" && exited 0 && relations >"$tmp/now" && [ "$(wc -l <"$tmp/now")" = 3 ]
}
ok 'restore goes its way with it' restored
run monitor show "$one"
ok 'the monitor sees the restored tasks' out_has complete

run monitor stop
dump -R
without() { exited 0 && [ ! -e "$images/caba.img" ]; }
ok 'a dump without a monitor leaves no old caba.img' without
end_family
finish
