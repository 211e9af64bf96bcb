# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What kselftests are compiled with, without building a kernel: $cache/headers/KEY is laid out like a kernel tree and has
# the uapi headers of a kernel with the series, lib.mk and the test harness.

# The part of the source that `make headers` reads.
headers_source=(Makefile Kbuild Kconfig include scripts usr arch/x86 arch/Kconfig tools/include tools/scripts)
headers_tests=tools/testing/selftests

headers_key() {
	local patches

	mapfile -t patches < <(kernel_patches "$1")
	{
		printf '%s\n' "$(source_version)"
		cat "${patches[@]}" </dev/null
	} | hash_of
}

# Copies the part of the source into DIR, with the series.
headers_copy() {
	local dir=$1 name=$2 scratch patches f

	(cd "$(source_dir)/linux" && cp -a --parents "${headers_source[@]}" \
		"$headers_tests"/{lib.mk,kselftest.h,kselftest_harness.h,kselftest} "$headers_tests"/pidfd/*.h "$dir/") || return
	scratch=$dir/.stasis
	mapfile -t patches < <(kernel_patches "$name")
	mkdir "$scratch" && series_files "$scratch" "${patches[@]}" || return
	while read -r f; do
		if [ -e "$scratch/new/$f" ]; then
			mkdir -p "$dir/$(dirname "$f")" && cp "$scratch/new/$f" "$dir/$f" || return
		else
			rm -f "$dir/$f"
		fi
	done <"$scratch/touched"
	rm -rf "$scratch"
}

headers_make() {
	local name=$1 out=$2 dir=$2.src

	rm -rf "$dir" "$out.new" && mkdir -p "$dir" "$out.new/usr" "$out.new/tools/include" "$out.new/tools/testing" &&
		headers_copy "$dir" "$name" &&
		kernel_make "$dir" headers headers &&
		cp -r "$dir/usr/include" "$out.new/usr/" &&
		cp -r "$dir/tools/include/uapi" "$out.new/tools/include/" &&
		cp -r "$dir/$headers_tests" "$out.new/tools/testing/" &&
		find "$out.new/usr/include" -name '.*' -type f -delete &&
		rm -rf "$dir" "$out" && mv "$out.new" "$out"
}

headers_build_locked() {
	local name=$1 out=$2

	[ ! -e "$out" ] || return 0
	need_program gcc make patch perl
	logged "$cache/log/headers-$name.log" "making the $name kernel's headers" headers_make "$name" "$out"
}

# headers_build NAME: makes them if need be and prints the folder.
headers_build() {
	local name=$1 out

	with_lock source source_ensure >&2
	(kernel_patches "$name" >/dev/null) || exit
	out=$cache/headers/$(headers_key "$name")
	with_lock headers headers_build_locked "$name" "$out" >&2 || die "the $name kernel's headers could not be made"
	printf '%s\n' "$out"
}
