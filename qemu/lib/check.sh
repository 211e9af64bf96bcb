# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# qemu/vm check: what a maintainer would do with the series first. git am of each patch on the pristine source, checkpatch,
# and after each patch all C files that the series touches are compiled. With --boot the whole kernel is built after each,
# and booted (check-boot.sh).
#
#   $cache/work/VERSION-check/   the source that is compiled, patched further and further, so that make has little to do
#   $cache/tree/check/           a git tree for git am, of those files alone that the patches touch

# What checkpatch may say; why is in the cover letters, kernel-patches/README-*.md.
check_explained='does MAINTAINERS need updating|Unknown commit id|spinlock_t definition without comment'

# Prints 'NAME TOPIC' for each patch. A comment in the series that names README-TOPIC.md begins a topic.
check_topics() {
	awk '
		match($0, /^#.*README-[A-Za-z0-9_-]+\.md/) { sub(/.*README-/, ""); sub(/\.md.*/, ""); topic = $0; next }
		{ sub(/#.*/, "") }
		NF { print $1, topic == "" ? "-" : topic }' "$patch_dir/series"
}

# check_select ARGUMENT...: fills check_names, check_topic (of each) and check_wanted (those that are asked for; 'stock' is the
# source without any patch).
check_select() {
	local arg name topic found

	check_names=()
	declare -gA check_topic=() check_wanted=()
	while read -r name topic; do
		check_names+=("$name")
		check_topic[$name]=$topic
		[ $# -gt 0 ] || check_wanted[$name]=1
	done < <(check_topics)
	[ ${#check_names[@]} -gt 0 ] || die "$patch_dir/series names no patches"
	[ $# -gt 0 ] && [[ " $* " != *" stock "* ]] || check_wanted[stock]=1
	for arg in "$@"; do
		found=${check_wanted[$arg]:-0}
		for name in "${check_names[@]}"; do
			if [ "$arg" = "${check_topic[$name]}" ] || [ "${arg##*/}" = "${name##*/}" ] || [[ ${name##*/} == "$arg"-* ]]; then
				check_wanted[$name]=1
				found=1
			fi
		done
		[ "$found" = 1 ] || die "check: no patch or topic '$arg' in $patch_dir/series" \
			"patches go by their file name or its number, topics are: $(printf '%s\n' "${check_topic[@]}" | sort -u | tr '\n' ' ')"
	done
}

# A tree without files: git am takes those that a patch touches out of the index.
check_tree() {
	local dir=$1

	rm -rf "$dir"
	mkdir -p "$(dirname "$dir")"
	[ -e "$(source_dir)/linux.git/HEAD" ] ||
		with_lock source logged "$cache/log/tree-base.log" "making a repository of the source" tree_base || exit
	git clone -q --shared --no-checkout "$(source_dir)/linux.git" "$dir" &&
		git -C "$dir" sparse-checkout set --no-cone /none && git -C "$dir" checkout -q -b stasis ||
		die "could not make a git tree in $dir"
}

# check_patch DIR PATCH: prints what is wrong with it by checkpatch, and is not explained. DIR is a source that it may write to.
check_patch() {
	(cd "$1" && scripts/checkpatch.pl --no-signoff --strict --terse -q "$2" 2>&1) |
		sed 's,^/.*/\([^/]*: *\),\1,' | grep -vE -e '^total: ' -e "$check_explained" || true
}

# Prints the object of a C file: its own, or that of the file which includes it (kernel/sched/).
check_object() {
	local dir=$1 file=$2 includer

	includer=$(grep -lF "include \"${file##*/}\"" "$dir/${file%/*}"/*.c | sed -n 1p) || true
	[ -z "$includer" ] || file=${includer#"$dir"/}
	printf '%s\n' "${file%.c}.o"
}

# The kernel's objects: what lies in tools/ is made of programs.
check_objects() {
	local dir=$1 file

	shift
	patched_files "$@" | grep '\.c$' | grep -v '^tools/' | while read -r file; do
		[ ! -e "$dir/$file" ] || check_object "$dir" "$file"
	done | sort -u
}

# Asked for a single object in arch/x86/lib, kbuild enters that folder twice, from the top and from arch/x86, and compiles
# the object in both at the same time if it may: one removes what the other still needs.
check_compile_objects() {
	local dir=$1 object once=() others=()

	shift
	for object in "$@"; do
		case $object in
		arch/x86/lib/*) once+=("$object") ;;
		*) others+=("$object") ;;
		esac
	done
	[ ${#others[@]} -eq 0 ] || kernel_make "$dir" check "${others[@]}" || return
	[ ${#once[@]} -eq 0 ] || JOBS=1 kernel_make "$dir" check "${once[@]}"
}

# check_compile LOG PATCH...: compiles what the whole series touches, with the patches alone.
check_compile() {
	local log=$1 dir all objects

	shift
	dir=$(kernel_work_dir check)
	mapfile -t all < <(kernel_patches patched)
	kernel_prepare_work "$dir" check "$@" >"$log" 2>&1 || return
	mapfile -t objects < <(check_objects "$dir" "${all[@]}")
	[ -n "${objects[0]:-}" ] || { printf 'error: the series touches no C file that is there\n' >>"$log"; return 1; }
	check_compile_objects "$dir" "${objects[@]}" >"$log" 2>&1 </dev/null || return
	check_warnings "$dir" "$log"
}

# The compiler's warnings are errors (config/check.config); those of objtool and modpost are found here. The object that one is
# about is removed: else make would take it as good the next time.
check_warnings() {
	local dir=$1 log=$2 object

	grep -qi 'warning: ' "$log" || return 0
	sed -n 's,^\([^ :]*\.o\): warning: objtool.*,\1,p' "$log" | sort -u | while read -r object; do
		rm -f "$dir/$object"
	done
	return 1
}

# The lines of a build's log that tell why it failed.
check_why() {
	grep -E -e 'error: ' -e '[Ww](arning|ARNING): ' -e 'does not apply' -e '^  CONFIG_' -e 'undefined reference' "$1" | head -n 12 | grep . ||
		tail -n 5 "$1"
}

check_parse() {
	check_boot=0
	check_tests=1
	check_again=0
	check_arguments=()
	while [ $# -gt 0 ]; do
		case $1 in
		--boot) check_boot=1 ;;
		--no-tests) check_tests=0 ;;
		--again) check_again=1 ;;
		-*) die "check: unknown option '$1'" "see: qemu/vm check --help" ;;
		*) check_arguments+=("$1") ;;
		esac
		shift
	done
}

# check_print WIDTH CELL...: one line of the table. Applies, checkpatch, compiles, boots, tests, seconds.
check_print() {
	local width=$1 name=$2 cells

	shift 2
	[ "$check_boot" = 1 ] || set -- "${@:1:3}" "$6"
	printf -v cells '  %-10s' "${@:1:$#-1}"
	[ "$check_boot" = 0 ] || printf -v cells '  %-7s  %-10s  %-8s  %-5s  %-18s' "${@:1:5}"
	printf '%-*s%s  %s\n' "$width" "$name" "$cells" "${!#}" | tee -a "$results/check.txt"
}

# check_row WIDTH NAME PATCH...: all of one patch, the last of those given. Fails if something is wrong with it. What it calls
# fills its columns and adds to `said`.
check_row() {
	local width=$1 name=$2 out=$results/check/${2%.patch} applies=- style=- compiles=no boots=- tests=- seconds='' said='' start=$SECONDS

	shift 2
	mkdir -p "$out"
	if [ "$check_boot" = 1 ]; then
		check_boot_patch "$name" "$out" "$@"
	elif check_compile "$out/build.log" "$@"; then
		compiles=yes
	else
		said=$(check_why "$out/build.log")
	fi
	if [ $# -gt 0 ]; then
		applies=yes
		style=$(check_patch "$(kernel_work_dir check)" "${!#}")
		said=$style${style:+${said:+$'\n'}}$said
		if [ -z "$style" ]; then style=ok; else style=no; fi
	fi
	check_print "$width" "${name%.patch}" "$applies" "$style" "$compiles" "$boots" "$tests" "${seconds:-$((SECONDS - start))}"
	[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/        /' | tee -a "$results/check.txt"
	[ -z "$said" ]
}

check_series() {
	local tree=$cache/tree/check patches=() name width bad=0

	width=$(printf '%s\n' "${check_names[@]%.patch}" | wc -L)
	results_new check
	check_tree "$tree"
	check_print "$width" patch applies checkpatch compiles boots tests seconds
	# What the source is without any patch: its warnings, if it has some, are not the first patch's.
	[ "$check_boot" = 0 ] || [ -z "${check_wanted[stock]:-}" ] || check_row "$width" stock || bad=$((bad + 1))
	for name in "${check_names[@]}"; do
		if ! tree_git "$tree" am -q "$patch_dir/$name" >"$results/check.am" 2>&1; then
			check_print "$width" "${name%.patch}" no - - - - 0
			sed 's/^/        /' "$results/check.am"
			die "$patch_dir/$name does not apply" "those after it were not tried"
		fi
		patches+=("$patch_dir/$name")
		[ -n "${check_wanted[$name]:-}" ] || continue
		check_row "$width" "$name" "${patches[@]}" || bad=$((bad + 1))
	done
	rm -rf "$tree" "$results/check.am"
	[ "$bad" -eq 0 ] || { say "error: $bad rows are not as they should be; logs: $results/check/"; exit 1; }
}

cmd_check() {
	need_program git gcc make patch perl
	check_parse "$@"
	check_select "${check_arguments[@]}"
	with_lock source source_ensure >&2 || exit
	with_lock "$results/.lock" check_run
}

check_run() {
	if [ "$check_boot" = 1 ] && [ "$check_tests" = 1 ]; then check_prepare_tests; fi
	with_lock check check_series
}
