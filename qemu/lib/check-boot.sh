# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# qemu/vm check --boot: after each patch the whole kernel is built and booted, runs a few commands (guest/smoke.sh) and the
# kernel selftests of the patch's topic, which may skip but not fail.
#
#   $cache/kernel/KEY/   the kernel after a patch
#   $cache/check/KEY/    the row of a patch that was found good, and its logs, by a hash of all that had a part in it

# Whether the patch's topic has selftests, and they are wanted.
check_has_tests() {
	[ "$check_tests" = 1 ] && [ -e "$tests_src/${check_topic[$1]:--}/Makefile" ]
}

# check_boot_key NAME KERNEL-KEY
check_boot_key() {
	local name=$1

	{
		printf '%s\n' "$2"
		cat "$top"/qemu/guest/*
		if check_has_tests "$name"; then
			printf 'tests of %s\n' "${check_topic[$name]}"
			find "$tests_src/${check_topic[$name]}" -type f | sort | xargs -d '\n' cat
		fi
	} | hash_of
}

# The tests are those for the whole series on every kernel: what it does not have yet, they skip.
check_prepare_tests() {
	local tree topics

	need_program python3
	mapfile -t topics < <(for name in "${!check_wanted[@]}"; do
		! check_has_tests "$name" || printf '%s\n' "${check_topic[$name]}"
	done | sort -u)
	test_options=()
	test_only=()
	[ -n "${topics[0]:-}" ] || return 0
	tree=$(headers_build patched) || exit
	logged "$cache/log/kselftest.log" "building the tests of: ${topics[*]}" test_compile "$tree" "${topics[@]}" || exit 125
}

# check_build LABEL KERNEL LOG PATCH...: KERNEL is the folder where the result is kept. The label is the build's number in
# `uname -v`, by which the guest tells that it is the right kernel.
check_build() {
	local label=$1 kernel=$2 log=$3 dir

	shift 3
	if [ -e "$kernel/bzImage" ] && [ "$check_again" = 0 ]; then
		cp "$kernel/build.log" "$log"
		return
	fi
	dir=$(kernel_work_dir check)
	[ -e "$dir/Makefile" ] || need_room 4 "building the kernel patch by patch"
	kernel_prepare_work "$dir" check "$@" >"$log" 2>&1 </dev/null &&
		KBUILD_BUILD_VERSION=$label kernel_compile "$dir" check >"$log" 2>&1 </dev/null || return
	check_warnings "$dir" "$log" && kernel_store "$dir" "$kernel" "$log"
}

# check_smoke LABEL IMAGE OUT: in a shell of its own, as a guest is cleaned up when its shell ends.
check_smoke() (
	label=$1 image=$2 out=$3
	boot_defaults 120
	boot_smp=2
	boot_kernel=check
	boot_quiet=1
	guest_run "$image" /bin/sh "$top/qemu/guest/smoke.sh" "$label"
	cat "$guest_dir/out" "$guest_dir/err" >"$out/boot.out"
	tr -d '\r' <"$guest_dir/console.log" >"$out/boot.log"
	if [ -z "$guest_problem" ] && [ "$guest_status" != 0 ]; then
		guest_problem="smoke.sh ended with status $guest_status: $(tail -n 1 "$out/boot.out")"
	fi
	[ -n "$guest_problem" ] || exit 0
	printf '%s\n' "$guest_problem"
	exit 1
)

# check_topic_tests LABEL IMAGE OUT TOPIC: fills `tests` and adds to `said` of check_row().
check_topic_tests() {
	local label=$1 image=$2 out=$3 topic=$4 programs rc=0

	mapfile -t programs < <(test_programs "$topic")
	mkdir -p "$out/tests/$label"
	test_guest "$label" "$image" check "$out/tests/$label" "$topic" "${programs[@]}" 2>/dev/null || rc=$?
	[ "$rc" -ne 0 ] || python3 "$top/qemu/report.py" "$out/tests" "$label" >"$out/report" 2>&1 || rc=$?
	tests=$(sed -n -E '/^[^ :]*: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped.*/ {
		s//\1 pass, \2 FAIL, \3 skip/
		s/ 0 FAIL,//
		p
	}' "$out/report" | tail -n 1)
	[ "$rc" -eq 0 ] || said+=${said:+$'\n'}$(grep '^FAILED' "$out/report" || printf 'the tests of %s could not be run\n' "$topic")
}

# check_boot_patch NAME OUT PATCH...: fills the columns of check_row().
check_boot_patch() {
	local name=$1 out=$2 label=${1##*/} key kernel kept start=$SECONDS

	shift 2
	label=${label%%[-.]*}
	key=$(printf '%s\n' "$label" "$(kernel_key check "$@")" | hash_of)
	kernel=$cache/kernel/$key
	kept=$cache/check/$(check_boot_key "$name" "$key")
	if [ -e "$kept/row" ] && [ "$check_again" = 0 ]; then
		cp -r "$kept/." "$out/"
		IFS=$'\t' read -r compiles boots tests seconds <"$kept/row"
		seconds+=' (before)'
		return
	fi
	if ! check_build "$label" "$kernel" "$out/build.log" "$@"; then
		said=$(check_why "$out/build.log")
		return
	fi
	compiles=yes
	if ! said=$(check_smoke "$label" "$kernel/bzImage" "$out" 2>"$out/boot.err"); then
		boots=no
		return
	fi
	boots=yes
	if check_has_tests "$name"; then check_topic_tests "$label" "$kernel/bzImage" "$out" "${check_topic[$name]}"; fi
	[ -z "$said" ] || return 0
	seconds=$((SECONDS - start))
	printf '%s\t%s\t%s\t%s\n' "$compiles" "$boots" "$tests" "$seconds" >"$out/row"
	mkdir -p "$cache/check" && rm -rf "$kept" && cp -r "$out" "$kept.new" && mv "$kept.new" "$kept" || die "cannot write to $cache/check"
}
