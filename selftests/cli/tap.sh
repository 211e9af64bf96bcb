# SPDX-License-Identifier: GPL-2.0-only
# TAP for shell tests: ok, skip and finish; sourced. $stasis is the program, $tmp a folder that goes.
# shellcheck shell=bash
stasis=$(realpath "${STASIS:-${BUILD:-build}/stasis}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export HOME=$tmp/home
unset CRIU_CONFIG_FILE STASIS_CONFIG_FILE
mkdir "$HOME"
cases=0 failed=0
echo "TAP version 13"

# ok NAME CONDITION...: a case that passes if the command does. Its output is shown if not.
ok() {
	local name=$1
	shift
	cases=$((cases + 1))
	if "$@" >"$tmp/.why" 2>&1; then
		echo "ok $cases $name"
	else
		failed=$((failed + 1))
		sed 's/^/# /' "$tmp/.why" "$tmp/out" "$tmp/err" 2>/dev/null | head -20
		echo "not ok $cases $name"
	fi
}

skip() {
	cases=$((cases + 1))
	echo "ok $cases $1 # SKIP $2"
}

finish() {
	echo "1..$cases"
	[ "$failed" = 0 ]
}

# run ARGS...: the program; its exit status in $status, its output in files out and err.
run() {
	status=0
	"$stasis" "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# Conditions on the last run.
exited() { [ "$status" = "$1" ] || { echo "exit status $status, not $1"; false; }; }
out_has() { grep -qF -- "$1" "$tmp/out" || { echo "stdout lacks: $1"; false; }; }
err_has() { grep -qF -- "$1" "$tmp/err" || { echo "stderr lacks: $1"; false; }; }
first_line() {
	[ "$(head -1 "$tmp/err")" = "$1" ] || { echo "first line is not: $1"; false; }
}
last_line_has() {
	tail -1 "$tmp/err" | grep -qF -- "$1" || { echo "last line lacks: $1"; false; }
}
not() { ! "$@"; }
silent() { [ ! -s "$tmp/out" ] && [ ! -s "$tmp/err" ]; }
