# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# qemu/vm test: the kselftests of selftests/kernel/ on several kernels. The topic 'tool' stands for the programs of
# selftests/run, the tests of stasis itself; it is run only when named.
#
#   build/kselftest/            laid out as a kernel's tools/testing/selftests, so that lib.mk and ../kselftest_harness.h work
#                               ($STASIS_RESULTS/.kselftest/ if the results are not in build/)
#   build/results/NAME/KERNEL/  about (the kernel, the accelerator), TOPIC.ktap, TOPIC.log (the kernel's), TOPIC.out (what came
#                               beside KTAP), TOPIC.problem
#   build/results/NAME.{txt,xml}
#   build/results/.lock         held by one run at a time

tests_src=$(realpath -ms "${STASIS_TOPICS:-$top/selftests/kernel}")
tests_build=$top/build/kselftest
[ -z "${STASIS_RESULTS:-}" ] || tests_build=$results/.kselftest

test_topics() {
	local d

	for d in "$tests_src"/*/; do
		[ ! -e "$d/Makefile" ] || basename "$d"
	done
}

# The tree whose headers the tests are built against: the first kernel of the run that is a tree of the user's, else the
# patched one, since the tests name what the patches add.
test_header_tree() {
	local kernel

	for kernel in "$@"; do
		if [ -d "$kernel" ] && [ -e "$kernel/Kbuild" ]; then
			with_lock "$(kernel_tree_lock "$kernel")" \
				logged "$cache/log/headers-tree.log" "making the headers of $kernel" kernel_make "$kernel" tree headers >&2 ||
				die "the headers of $kernel could not be made"
			readlink -f "$kernel"
			return
		fi
	done
	headers_build patched
}

# test_lay_out TREE TOPIC...: copies of the topics beside links to the kernel's own lib.mk, harness and whatever else lies
# there, and to what lies beside the topics.
test_lay_out() {
	local tree=$1 f topic

	shift
	mkdir -p "$tests_build"
	for f in "$tree"/tools/testing/selftests/* "$tests_src"/*; do
		[[ " $* " == *" $(basename "$f") "* ]] || [ -d "$tests_build/$(basename "$f")/.stasis" ] ||
			ln -sfn "$f" "$tests_build/$(basename "$f")"
	done
	for topic in "$@"; do
		[ "$topic" != tool ] || continue
		[ ! -L "$tests_build/$topic" ] || rm "$tests_build/$topic"
		mkdir -p "$tests_build/$topic/.stasis"
		while read -r f; do
			put "$tests_src/$topic/$f" "$tests_build/$topic/$f" || return
			[ ! -x "$tests_src/$topic/$f" ] || chmod +x "$tests_build/$topic/$f"
		done < <(cd "$tests_src/$topic" && find . -type f -printf '%P\n')
	done
}

test_make() {
	local topic=$1

	shift
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CFLAGS -u CPPFLAGS -u LDFLAGS -u LDLIBS make -s -C "$tests_build/$topic" "$@"
}

# Prints the names of a topic's test programs.
test_programs() {
	if [ "$1" = tool ]; then
		(cd "$top" && selftests/run --list | awk '{ print $1 }')
		return
	fi
	test_make "$1" --eval 'stasis-list: ; @printf "%s\n" $(notdir $(TEST_GEN_PROGS) $(TEST_CUSTOM_PROGS) $(TEST_PROGS))' stasis-list
}

# When the headers or the harness are another tree's, or newer, everything is compiled anew.
test_compile() {
	local tree=$1 topic stamp

	shift
	if [[ " $* " == *" tool "* ]]; then
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$top" -j"${JOBS:-$(nproc)}" all selftests || return
	fi
	test_lay_out "$tree" "$@" || return
	stamp=$(cd "$tree" && find usr/include tools/testing/selftests/kselftest*.h -name '*.h' -type f -print0 | sort -z | xargs -0 cat | hash_of)
	for topic in "$@"; do
		[ "$topic" != tool ] || continue
		if [ "$(cat "$tests_build/$topic/.stasis/headers" 2>/dev/null)" != "$stamp" ]; then test_make "$topic" clean || return; fi
		printf '%s\n' "$stamp" >"$tests_build/$topic/.stasis/headers"
		test_make "$topic" -j"${JOBS:-$(nproc)}" all || { printf 'the tests of %s do not build\n' "$topic"; return 1; }
	done
}

# test_wishes TOPIC: options out of the topic's file `vm`, lines KEY=VALUE.
test_wishes() {
	local line key

	[ -e "$tests_src/$1/vm" ] || return 0
	while read -r line; do
		line=${line%%#*}
		line=${line%"${line##*[![:space:]]}"}
		key=${line%%=*}
		case $key in
		'') ;;
		timeout) printf -- '--timeout\n%s\n' $((${line#*=} * ${test_repeat:-1})) ;;
		cpu | mem | smp | append) printf '%s\n%s\n' "--$key" "${line#*=}" ;;
		*) die "$tests_src/$1/vm: '$key' is none of: cpu, mem, smp, append, timeout" ;;
		esac
	done <"$tests_src/$1/vm"
}

# test_limit TOPIC: the seconds for a topic that wishes for no other. One of its programs may reach its own limit, which
# run-tests.sh takes from the same file (four times that under emulation), and is then said to have hung.
test_limit() {
	local limit=''

	[ ! -e "$tests_src/$1/settings" ] || limit=$(sed -n 's/^timeout=\([0-9]*\).*/\1/p' "$tests_src/$1/settings")
	printf '%s\n' $((600 * ${test_repeat:-1} + 4 * ${limit:-45}))
}

# test_guest LABEL IMAGE KERNEL OUT TOPIC PROGRAM...: one topic on one kernel, in a guest.
test_guest() (
	label=$1 image=$2 kernel=$3 out=$4 topic=$5
	shift 5
	scale=1
	boot_defaults "$(test_limit "$topic")"
	boot_smp=2
	mapfile -t wishes < <(test_wishes "$topic")
	set_boot_options "${wishes[@]}" "${test_options[@]}"
	boot_kernel=$kernel
	boot_quiet=1
	# Checks of the debug kernel cost several times the time, emulation ten times.
	[ "$(accelerator "$image")" = kvm ] || scale=4
	if [ "$kernel" = debug ]; then
		scale=$((scale * 4))
		boot_timeout=$((boot_timeout * 4))
	fi
	rm -f "$out/$topic".*
	dir=$tests_build/$topic
	if [ "$topic" = tool ]; then
		# Each of its programs has a limit of its own.
		dir=$top
		boot_timeout=$((boot_timeout * 20))
	fi
	guest_run "$image" /bin/sh "$top/qemu/guest/run-tests.sh" "$dir" "$topic" "$scale" "$@"
	cp "$guest_dir/ktap" "$out/$topic.ktap"
	cat "$guest_dir/out" "$guest_dir/err" >"$out/$topic.out"
	tr -d '\r' <"$guest_dir/console.log" >"$out/$topic.log"
	if [ -z "$guest_problem" ] && [ "$guest_status" != 0 ]; then guest_problem="run-tests.sh ended with status $guest_status"; fi
	[ -n "$guest_problem" ] || exit 0
	printf '%s\n' "$guest_problem" >"$out/$topic.problem"
	guest_show_problem "$guest_dir"
)

# test_about IMAGE: what a column stands for, for the report.
test_about() {
	local image=$1

	printf 'release: %s\nimage: %s\naccelerator: %s\n' "$(image_release "$image")" "$image" "$(accelerator "$image")"
}

set_boot_options() {
	while [ $# -gt 0 ]; do
		boot_option "$@"
		[ "$boot_taken" -gt 0 ] || die "'$1' is no option of a guest"
		shift "$boot_taken"
	done
}

# Splits TOPIC/TEST arguments: fills test_wanted with topics, test_only with TOPIC/TEST.
test_select() {
	local arg topic known

	known=$(test_topics)
	test_wanted=()
	test_only=()
	for arg in "$@"; do
		arg=${arg%/}
		topic=${arg%%/*}
		[ "$topic" = tool ] || grep -qxF "$topic" <<<"$known" || die "no topic '$topic' in $tests_src" "topics: tool ${known//$'\n'/ }"
		[[ " ${test_wanted[*]} " == *" $topic "* ]] || test_wanted+=("$topic")
		[ "$topic" = "$arg" ] || test_only+=("$arg")
	done
	[ $# -gt 0 ] || mapfile -t test_wanted <<<"$known"
	[ -n "${test_wanted[0]:-}" ] || die "$tests_src has no topics"
}

# The programs of a topic that this run is about.
test_chosen() {
	local topic=$1 all program only=()

	all=$(test_programs "$topic") || return
	for program in "${test_only[@]}"; do
		[ "${program%%/*}" != "$topic" ] || only+=("${program#*/}")
	done
	if [ ${#only[@]} -eq 0 ]; then
		printf '%s\n' "$all"
		return
	fi
	for program in "${only[@]}"; do
		grep -qxF "$program" <<<"$all" || die "topic $topic has no test '$program'" "its tests: ${all//$'\n'/ }"
		printf '%s\n' "$program"
	done
}

test_parse() {
	test_kernels=()
	test_options=()
	test_set=selftests
	test_list=0
	test_report=()
	test_build_limit=0
	test_repeat=1
	test_arguments=()
	boot_defaults
	while [ $# -gt 0 ]; do
		case $1 in
		--list) test_list=1 && shift ;;
		--tap) test_report+=(--tap) && shift ;;
		--build-limit) need_value "$@" && test_build_limit=$2 && shift 2 ;;
		--build-limit=*) test_build_limit=${1#*=} && shift ;;
		--repeat) need_value "$@" && test_repeat=$2 && shift 2 ;;
		--repeat=*) test_repeat=${1#*=} && shift ;;
		--set) need_value "$@" && test_set=$2 && shift 2 ;;
		--set=*) test_set=${1#*=} && shift ;;
		--kernel) need_value "$@" && test_kernels+=("$2") && shift 2 ;;
		--kernel=*) test_kernels+=("${1#*=}") && shift ;;
		--log | --log=* | --stdin | --gdb) die "test: $1 is an option of qemu/vm run" "the kernels' logs are in $results" ;;
		-*)
			boot_option "$@"
			[ "$boot_taken" -gt 0 ] || die "test: unknown option '$1'" "see: qemu/vm test --help"
			test_options+=("${@:1:boot_taken}")
			shift "$boot_taken"
			;;
		*) test_arguments+=("$1") && shift ;;
		esac
	done
	[ ${#test_kernels[@]} -gt 0 ] || mapfile -t test_kernels < <(kernels_wanted stock patched)
	[[ $test_repeat =~ ^[1-9][0-9]{0,3}$ ]] || die "--repeat '$test_repeat' is not a number of times"
	[[ $test_build_limit =~ ^[0-9]+$ ]] || die "--build-limit '$test_build_limit' is not a number of seconds"
	[[ $test_set =~ ^[A-Za-z0-9_][A-Za-z0-9._-]*$ ]] || die "--set '$test_set' is not a plain name"
	[ "$test_set" != check ] || die "--set check: qemu/vm check has its results there"
}

# Whether some topic of this run is for a CPU that only our emulator gives.
test_needs_emulator() {
	local topic

	for topic in "${test_wanted[@]}"; do
		if grep -q '^cpu=' "$tests_src/$topic/vm" 2>/dev/null; then return 0; fi
	done
	return 1
}

# With --build-limit, everything is built first. What takes longer, or cannot be fetched or kept here, is no failure of what
# is to be tested: all is skipped then, and the reason is said.
test_build_ahead() {
	local what=("${test_kernels[@]}") why rc=0

	[ "$test_build_limit" -gt 0 ] || return 0
	if test_needs_emulator && [ "$(KERNEL=${test_kernels[0]} accelerator '')" != kvm ]; then what+=(qemu); fi
	STASIS_UNAVAILABLE=69 timeout -k 20 "$test_build_limit" "$top/qemu/vm" build "${what[@]}" 2> >(tee "$cache/log/build-ahead.log" >&2) >/dev/null || rc=$?
	case $rc in
	0) return 0 ;;
	124 | 137) why="building ${what[*]} takes longer than $test_build_limit s here" ;;
	69) why=$(sed -n 's/^vm: error: //p' "$cache/log/build-ahead.log" | tail -n 1) ;;
	*) exit "$rc" ;;
	esac
	printf '1..0 # SKIP %s\n' "$why"
	exit 4
}

cmd_test() {
	test_parse "$@"
	if [ "${STASIS_VM:-}" = 1 ]; then
		printf '1..0 # SKIP this is a guest already\n'
		exit 4
	fi
	test_select "${test_arguments[@]}"
	need_program python3
	[[ $tests_build != *[[:space:]]* ]] || die "the kernel's lib.mk takes no blanks in a name: $tests_build" "STASIS_RESULTS names another folder for results and tests"
	mkdir -p "$cache/log"
	test_build_ahead
	with_lock "$results/.lock" test_run
}

# Two runs at once would mix their results, and the tests while they are built. All kernels are made before anything is run.
test_run() {
	local image label topic tree out programs i n rc=0 images=() columns=() dead=()

	tree=$(test_header_tree "${test_kernels[@]}") || exit
	logged "$cache/log/kselftest.log" "building the tests of: ${test_wanted[*]}" test_compile "$tree" "${test_wanted[@]}" || exit 125
	if [ "$test_list" = 1 ]; then
		for topic in "${test_wanted[@]}"; do test_chosen "$topic" | sed "s,^,$topic/,"; done
		return
	fi
	# A name that is wrong is said before a kernel is built for it, and before the last results are gone.
	for topic in "${test_wanted[@]}"; do test_chosen "$topic" >/dev/null || exit 125; done
	for i in "${!test_kernels[@]}"; do
		images[i]=$(kernel_image "${test_kernels[i]}") || exit
	done
	results_new "$test_set"
	for i in "${!test_kernels[@]}"; do
		image=${images[i]}
		label=$(kernel_label "${test_kernels[i]}")
		if [[ " ${columns[*]} " == *" $label "* ]]; then label+=-$((${#columns[@]} + 1)); fi
		columns+=("$label")
		out=$results/$test_set/$label
		mkdir -p "$out"
		test_about "$image" >"$out/about"
		for topic in "${test_wanted[@]}"; do
			programs=$(test_chosen "$topic") || exit 125
			mapfile -t programs < <(for ((n = 0; n < test_repeat; n++)); do printf '%s\n' "$programs"; done)
			say "$label: running $topic (${#programs[@]} programs)"
			test_guest "$label" "$image" "${test_kernels[i]}" "$out" "$topic" "${programs[@]}" || exit 125
			# The first line comes before any test.
			[ -s "$out/$topic.ktap" ] || dead+=("$topic on $label")
		done
	done
	python3 "$top/qemu/report.py" "${test_report[@]}" "${test_wanted[@]/#/--topic=}" "$results/$test_set" "${columns[@]}" || rc=$?
	[ ${#dead[@]} -eq 0 ] || die "no guest came up for: ${dead[*]}" "its log is in $results/$test_set"
	return "$rc"
}
