# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# qemu/vm check: what a maintainer would do with the series first. git am of each patch on the pristine source, checkpatch,
# and after each patch all C files that the series touches are compiled.

# What checkpatch may say; why is in the cover letters, kernel-patches/README-*.md.
check_explained='does MAINTAINERS need updating|Unknown commit id|spinlock_t definition without comment'

# Prints the object of a C file: its own, or that of the file which includes it (kernel/sched/).
check_object() {
	local dir=$1 file=$2 includer

	includer=$(grep -lF "include \"${file##*/}\"" "$dir/${file%/*}"/*.c | sed -n 1p) || true
	[ -z "$includer" ] || file=${includer#"$dir"/}
	printf '%s\n' "${file%.c}.o"
}

check_objects() {
	local dir=$1 file

	git -C "$dir" diff --name-only stock-base stasis -- '*.c' | while read -r file; do
		[ ! -e "$dir/$file" ] || check_object "$dir" "$file"
	done | sort -u
}

# check_patch DIR PATCH: prints what is wrong with it by checkpatch, and is not explained.
check_patch() {
	(cd "$1" && scripts/checkpatch.pl --no-signoff --strict --no-tree --terse -q "$2" 2>&1) |
		sed 's,^/.*/\([^/]*: *\),\1,' | grep -vE -e '^total: ' -e "$check_explained" || true
}

cmd_check() {
	local dir commit name bad=0 log objects said

	need_program git gcc make patch perl
	dir=$cache/tree/check
	log=$cache/log/check.log
	rm -rf "$dir"
	with_lock check tree_make "$dir" >/dev/null || exit
	git -C "$dir" checkout -q stasis
	while read -r commit; do
		name=$(git -C "$dir" notes --ref="$tree_notes" show "$commit")
		git -C "$dir" checkout -q "$commit"
		mkdir -p "$(dirname "$log")"
		mapfile -t objects < <(check_objects "$dir")
		[ -n "${objects[0]:-}" ] || die "$name: the series touches no C file that is there"
		said=$(check_patch "$dir" "$patch_dir/$name")
		if ! { kernel_configure "$dir" tree && kernel_make "$dir" tree "${objects[@]}"; } >"$log" 2>&1; then
			said+=${said:+$'\n'}"does not compile: $(grep -m1 -e 'error:' -e Error "$log")"
		elif grep -q 'warning:' "$log"; then
			said+=${said:+$'\n'}$(grep 'warning:' "$log")
		fi
		if [ -n "$said" ]; then
			bad=$((bad + 1))
			printf 'not ok  %s\n' "$name"
			printf '%s\n' "$said" | sed 's/^/        /'
		else
			printf 'ok      %s\n' "$name"
		fi
	done < <(git -C "$dir" rev-list --reverse stock-base..stasis)
	rm -rf "$dir"
	[ "$bad" -eq 0 ] || die "$bad patches are not as they should be" "the last compiler's output: $log"
}
