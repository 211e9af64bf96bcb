# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Guests that are only played, by a shell script in place of the emulator: what qemu/vm makes of what they leave behind.
# Sourced by run.

fake_emulator() {
	mkdir -p "$scratch/bin" "$scratch/t,mp"
	cat >"$scratch/bin/qemu-system-x86_64" <<-'END'
		#!/bin/bash
		printf '%s\n' "$@" >"$FAKE_ARGUMENTS"
		dir=$(sed -n 's,^file.id=ctl.path=\(.*\)/ctl$,\1,p' "$FAKE_ARGUMENTS")
		cd "${dir//,,/,}" && echo start >ctl && eval "$FAKE_GUEST"
	END
	# The watchdog's minutes are seconds here.
	printf '#!/bin/sh\nexec /bin/sleep 0.01\n' >"$scratch/bin/sleep"
	chmod +x "$scratch/bin"/*
	head -c 4096 /dev/zero >"$scratch/image"
}

# gone FOLDER: waits until it is empty; the guest's end takes a moment.
gone() {
	local i

	for i in $(seq 50); do
		[ -n "$(ls "$1")" ] || return 0
		/bin/sleep 0.1
	done
	ls "$1"
}

test_fake_guests() {
	local -x PATH=$scratch/bin:$PATH STASIS_ACCEL=tcg STASIS_CACHE=$scratch/cache TMPDIR=$scratch/t,mp
	local -x FAKE_ARGUMENTS=$scratch/arguments FAKE_GUEST
	local run=("$vm" run --kernel "$scratch/image") line signal pid i many=()

	fake_emulator
	FAKE_GUEST='echo hello >out; echo "traps: a.out[12] general protection fault ip:1 sp:2" >console.log; printf "tick\nexit 3\n" >>ctl'
	check_status 'the status of a guest' 3 "${run[@]}" -- true
	check 'and its output' hello "$(cat "$scratch/out")"
	for line in 'WARNING: CPU: 0 PID: 1 at test' 'general protection fault, probably' 'watchdog: CPU1: Watchdog detected hard LOCKUP'; do
		FAKE_GUEST="printf '\\0\\377\\n%s\\n' '$line' >console.log; echo exit 0 >>ctl"
		check_status "a log that is no text fails for '${line:0:30}'" 125 "${run[@]}" -- true
		check_has 'and shows it' "$scratch/err" "^$line\$"
	done
	FAKE_GUEST='printf "tainted 512\nexit 0\n" >>ctl'
	check_status 'a warning that the log does not show is a failure' 125 "${run[@]}" -- true
	check_status 'unless that is allowed' 0 "${run[@]}" --allow-splat -- true
	FAKE_GUEST='exec /bin/sleep 1000'
	check_status 'a guest that stops to tick is ended' 125 "${run[@]}" -- true
	check_has 'and why' "$scratch/err" 'no sign of life for 300 s'
	FAKE_GUEST='while echo y >>out; do /bin/sleep 0.01; done'
	check 'so is one whose output is not read' 'y 141' "$("${run[@]}" -- true 2>/dev/null | head -n 1 | tr '\n' ' '; printf '%s' "${PIPESTATUS[0]}")"
	FAKE_GUEST='exec /bin/sleep 1000'
	for signal in TERM HUP KILL; do
		"${run[@]}" -- true 2>/dev/null &
		pid=$!
		until [ -s "$scratch/t,mp"/*/ctl ]; do /bin/sleep 0.05; done 2>/dev/null
		kill -"$signal" "$pid" && wait "$pid" 2>/dev/null
		check "with a qemu/vm that SIG$signal ends, the guest ends" '' "$(gone "$scratch/t,mp")"
	done
	# As qemu/vm test does it.
	bash -c 'set -eu; top=$1; for p in common source kernel debian emulator guest; do . "$top/qemu/lib/$p.sh"; done
		( boot_defaults; boot_quiet=1; guest_run "$2" true ); echo' sh "$top" "$scratch/image" >/dev/null 2>&1 &
	pid=$!
	until [ -s "$scratch/t,mp"/*/ctl ]; do /bin/sleep 0.05; done 2>/dev/null
	kill "$pid" && wait "$pid" 2>/dev/null
	check 'also if another shell of its waits for it' '' "$(gone "$scratch/t,mp")"
	FAKE_GUEST='cat >>out; echo exit 0 >>ctl'
	check 'input is passed on' hello "$(echo hello | "${run[@]}" --stdin -- cat)"
	check 'if that is asked for' '' "$(echo hello | "${run[@]}" -- cat)"
	check_status 'a time is a number with zeros before it, too' 0 "${run[@]}" --timeout 08 -- true
	mkdir "$scratch/sha,re"
	check_status 'options for the emulator' 0 "${run[@]}" --rw "$scratch/sha,re" --qemu '-name a' --log "$scratch/log" -- true
	check_has 'commas are doubled' "$scratch/arguments" "path=$scratch/sha,,re,security"
	check_has 'what is asked for is last' "$scratch/arguments" '^-name$'
	check_has 'a log that is kept has everything' "$scratch/arguments" 'loglevel=8 '
	for i in $(seq 17); do many+=(--ro "$scratch"); done
	check_status 'more folders than fit are refused' 125 "${run[@]}" "${many[@]}" -- true
	check_status 'and the root' 125 "${run[@]}" --rw / -- true
}

# Which accelerator, with a KVM that is there and works with the kernel `good` only.
test_accelerator() {
	accel() {
		bash -c 'set -eu; top=$1; for p in common kernel emulator; do . "$top/qemu/lib/$p.sh"; done
			kvm_there() { true; }; kvm_probe() { grep -q good "$1"; }; accelerator "$2"' sh "$top" "$1" 2>/dev/null
	}
	local -x STASIS_CACHE=$scratch/cache

	unset STASIS_ACCEL
	echo good >"$scratch/good" && echo bad >"$scratch/bad"
	check 'a kernel that does not boot with KVM' tcg "$(accel "$scratch/bad")"
	check 'does not keep another from it' kvm "$(accel "$scratch/good")"
	check 'which then stands for all' kvm "$(accel "$scratch/bad")"
}
