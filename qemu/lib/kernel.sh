# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Configuring and building kernels.
#
#   $cache/work/VERSION-NAME/     source and objects of stock, patched and debug; built incrementally
#   $cache/kernel/KEY/            what a build gave (bzImage, System.map, config); KEY is a hash of all that went in
#   $cache/ccache/                shared by all of them
#
# Kernels are built inside their source folder: all paths are then relative, and an object compiled in one tree is a
# ccache hit in every other.

kernel_names='stock patched debug'
# Raised when the way of building changes so that kernels built before are not to be used.
kernel_recipe=2

kernel_make() {
	local dir=$1 release=$2

	shift 2
	mkdir -p "$cache/ccache"
	# ccache comes by PATH and not by CC=, so that a plain make in the same tree finds the same command lines.
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS PATH="$top/qemu/ccache:/usr/lib/ccache:$PATH" \
		CCACHE_DIR="$cache/ccache" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-8G}" \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_USER=stasis KBUILD_BUILD_HOST=stasis \
		KCONFIG_NOTIMESTAMP=1 make -s -C "$dir" ARCH=x86_64 LOCALVERSION="-$release" -j"${JOBS:-$(nproc)}" "$@"
}

# The fragments a kernel is configured from, in the order in which they are merged: each selftest names what it needs, and
# each base what it has under another name or not at all.
kernel_fragments() {
	local purpose=(tool btf) f

	case $1 in
	debug | check) purpose=("$1") ;;
	esac
	purpose=("${purpose[@]/%/.config}" "$kernel_series.config")
	for f in "$top"/qemu/config/base.config "$top"/selftests/kernel/*/config "${purpose[@]/#/$top/qemu/config/}"; do
		[ ! -e "$f" ] || printf '%s\n' "$f"
	done
}

# Prints the patches of the series in order; none for the stock kernel or where there is no series yet.
kernel_patches() {
	local line

	[ "$1" != stock ] || return 0
	[ -e "$patch_dir/series" ] || return 0
	while read -r line; do
		line=${line%%#*}
		line=${line%"${line##*[![:space:]]}"}
		[ -n "$line" ] || continue
		[ -r "$patch_dir/$line" ] || die "$patch_dir/series names $line, which is not there"
		printf '%s\n' "$patch_dir/$line"
	done <"$patch_dir/series"
}

# kernel_key NAME PATCH...: stands for all that the kernel is made from.
kernel_key() {
	local name=$1 inputs

	shift
	mapfile -t inputs < <(kernel_fragments "$name")
	{
		printf '%s\n' "$name" "$(source_version)" "$kernel_recipe"
		gcc --version | head -n 1
		cat "${inputs[@]}" "$@"
	} | hash_of
}

kernel_work_dir() {
	printf '%s/work/%s-%s\n' "$cache" "$(source_version)" "$1"
}

# put FILE DEST: keeps the time stamp of an unchanged DEST, so that make sees only real changes.
put() {
	if cmp -s "$1" "$2"; then return 0; fi
	mkdir -p "$(dirname "$2")" && cp -f "$1" "$2"
}

# kernel_configure DIR NAME: tinyconfig and the fragments; says which requests the kernel's dependencies refused.
kernel_configure() {
	local dir=$1 name=$2 stamp fragments

	mapfile -t fragments < <(kernel_fragments "$name")
	stamp=$({ gcc --version | head -n 1; cat "${fragments[@]}"; } | hash_of)
	if [ -e "$dir/.config" ] && [ "$(cat "$dir/.stasis-config" 2>/dev/null)" = "$stamp" ]; then return 0; fi
	rm -f "$dir/.stasis-config"
	kernel_make "$dir" "$name" tinyconfig || return
	(cd "$dir" && PATH="/usr/lib/ccache:$PATH" KCONFIG_CONFIG=.config ARCH=x86_64 \
		scripts/kconfig/merge_config.sh -m -Q .config "${fragments[@]}") || return
	kernel_make "$dir" "$name" olddefconfig || return
	kernel_config_check "$dir/.config" "${fragments[@]}" || return
	printf '%s\n' "$stamp" >"$dir/.stasis-config"
}

# A requested option that did not come out as asked would make tests fail in ways that are hard to read: stop here.
kernel_config_check() {
	local config=$1 bad

	shift
	bad=$(awk '
		FNR == NR { if (/^CONFIG_/) { split($0, kv, "="); have[kv[1]] = substr($0, length(kv[1]) + 2) } next }
		/^# CONFIG_.* is not set/ { want[$2] = "n" }
		/^CONFIG_/ { split($0, kv, "="); want[kv[1]] = substr($0, length(kv[1]) + 2) }
		END {
			for (o in want) {
				got = (o in have) ? have[o] : "n"
				if (got != want[o] && !(want[o] == "m" && got == "y"))
					print "  " o ": asked " want[o] ", got " got
			}
		}' "$config" "$@")
	[ -z "$bad" ] || { printf 'configuration requests that were not met:\n%s\n' "$bad"; return 1; }
}

# Prints the names of the files that a set of patches touches.
patched_files() {
	[ $# -gt 0 ] || return 0
	sed -n -e 's,^--- a/\([^\t]*\).*,\1,p' -e 's,^+++ b/\([^\t]*\).*,\1,p' -e 's,^rename \(from\|to\) ,,p' "$@" | sort -u
}

# series_files OUT PATCH...: leaves all files that the patches touch in OUT/new, as they are with them, and their names in
# OUT/touched. Patches must apply without fuzz (offsets are fine).
series_files() {
	local out=$1 stock f

	shift
	stock=$(source_dir)/linux
	patched_files "$@" >"$out/touched" && mkdir "$out/new" || return
	while read -r f; do
		[ ! -e "$stock/$f" ] || { mkdir -p "$out/new/$(dirname "$f")" && cp -p "$stock/$f" "$out/new/$f"; } || return
	done <"$out/touched"
	for f in "$@"; do
		printf 'applying %s\n' "${f##*/}"
		patch -d "$out/new" -p1 -F0 -s -N --no-backup-if-mismatch -E <"$f" ||
			{ printf '%s does not apply without fuzz to linux %s\n' "$f" "$(source_version)"; return 1; }
	done
}

# series_sync DIR FILES: makes DIR, which is the stock source plus some series, the stock source plus what FILES holds, and
# touches only files that really change, so that make compiles only what depends on them.
series_sync() {
	local dir=$1 patched=$2 stock f

	stock=$(source_dir)/linux
	touch "$dir/.stasis-files"
	# All that may differ from now on: if this is interrupted, the next one knows.
	sort -u "$dir/.stasis-files" "$patched/touched" >"$patched/differ" && cp "$patched/differ" "$dir/.stasis-files" || return
	while read -r f; do
		if [ -e "$patched/new/$f" ]; then
			put "$patched/new/$f" "$dir/$f" || return
		elif grep -qxF "$f" "$patched/touched" || [ ! -e "$stock/$f" ]; then
			rm -f "$dir/$f"
		else
			put "$stock/$f" "$dir/$f" || return
		fi
	done <"$patched/differ"
	cp "$patched/touched" "$dir/.stasis-files"
}

# kernel_apply DIR PATCH...: DIR is the stock source plus some series; makes it the stock source plus the patches.
kernel_apply() {
	local dir=$1 scratch rc=0

	shift
	scratch=$(mktemp -d "$cache/series.XXXXXX") || return
	series_files "$scratch" "$@" && series_sync "$dir" "$scratch" || rc=$?
	rm -rf "$scratch"
	return "$rc"
}

# kernel_prepare_work DIR NAME PATCH...
kernel_prepare_work() {
	local dir=$1 name=$2

	shift 2
	if [ ! -e "$dir/Makefile" ]; then
		rm -rf "$dir" "$dir.new" && mkdir -p "$cache/work" &&
			cp -a --reflink=auto "$(source_dir)/linux" "$dir.new" && mv "$dir.new" "$dir" || return
	fi
	kernel_apply "$dir" "$@" && kernel_configure "$dir" "$name"
}

kernel_compile() {
	local dir=$1 name=$2

	kernel_make "$dir" "$name" bzImage
}

# kernel_store DIR OUT: keeps what running and testing need, apart from the work folder, which the next build changes.
kernel_store() {
	local dir=$1 out=$2 log=$3

	rm -rf "$out.new" && mkdir -p "$out.new" &&
		cp "$dir/arch/x86/boot/bzImage" "$dir/System.map" "$out.new/" &&
		cp "$dir/.config" "$out.new/config" &&
		cp "$log" "$out.new/build.log" &&
		rm -rf "$out" && mv "$out.new" "$out"
}

# kernel_build_locked NAME OUT: returns 1 if what it is built from was changed meanwhile, so that OUT would be a lie.
kernel_build_locked() {
	local name=$1 out=$2 dir log patches start=$SECONDS

	mapfile -t patches < <(kernel_patches "$name")
	dir=$(kernel_work_dir "$name")
	log=$cache/log/kernel-$name.log
	if [ -e "$out/bzImage" ]; then return 0; fi
	need_program gcc make flex bison bc patch pahole cpio lz4
	[ -e "$dir/Makefile" ] || need_room 5 "building the $name kernel"
	logged "$cache/log/prepare-$name.log" "preparing the $name kernel's source" \
		kernel_prepare_work "$dir" "$name" "${patches[@]}" ||
		die "the $name kernel's source could not be prepared"
	mapfile -t patches < <(kernel_patches "$name")
	[ "$out" = "$cache/kernel/$(kernel_key "$name" "${patches[@]}")" ] || return 1
	logged "$log" "building the $name kernel in $dir" kernel_compile "$dir" "$name" || die "the $name kernel did not build"
	if grep -q 'warning:' "$log"; then
		say "warnings of the compiler while building $name:"
		grep 'warning:' "$log" | sort -u | head -n 20 >&2
	fi
	kernel_store "$dir" "$out" "$log" || die "could not write $out"
	say "built the $name kernel in $((SECONDS - start)) s"
}

# kernel_build NAME: builds if need be and prints the folder that holds the result.
kernel_build() {
	local name=$1 out patches

	[ "$name" = stock ] || [ -e "$patch_dir/series" ] || die "there is no $name kernel: $patch_dir has no series" "qemu/vm build stock builds the one without patches"
	with_lock source source_ensure >&2
	# A subshell, because mapfile's process substitutions hide a failing die.
	(kernel_patches "$name" >/dev/null) || exit
	while true; do
		mapfile -t patches < <(kernel_patches "$name")
		out=$cache/kernel/$(kernel_key "$name" "${patches[@]}")
		if with_lock "kernel-$name" kernel_build_locked "$name" "$out" >&2; then break; fi
		say "the series or the configuration changed meanwhile: once more"
	done
	printf '%s\n' "$out"
}

# Prints the name of the lock for what is made in a tree of the user's own.
kernel_tree_lock() {
	printf 'tree-%s\n' "$(readlink -f "$1" | hash_of)"
}

# A tree of the user's own is built in place, with its own .config if it has one.
kernel_build_tree() {
	with_lock "$(kernel_tree_lock "$1")" kernel_build_tree_locked "$(readlink -f "$1")"
}

kernel_build_tree_locked() {
	local dir=$1 log

	log=$cache/log/kernel-tree-$(printf '%s' "$dir" | hash_of).log
	need_program gcc make flex bison bc pahole cpio
	if [ ! -e "$dir/.config" ]; then
		logged "$log.config" "no .config in $dir: configuring it from qemu/config" kernel_configure "$dir" tree >&2 ||
			die "could not configure $dir"
	elif [ -e "$dir/.stasis-config" ]; then
		logged "$log.config" "checking the configuration of $dir" kernel_configure "$dir" tree >&2 || die "could not configure $dir"
	fi
	logged "$log" "building the kernel in $dir" kernel_compile "$dir" tree >&2 || die "the kernel in $dir did not build"
	if grep -q 'warning:' "$log"; then
		say "warnings of the compiler:"
		grep 'warning:' "$log" | sort -u | head -n 20 >&2
	fi
}

# kernel_image NAME: prints the bzImage of stock, patched, debug, Debian's own, of a source tree (built first) or of a file.
kernel_image() {
	local name=$1 dir

	if kernel_is_ours "$name"; then
		dir=$(kernel_build "$name") || exit
		printf '%s/bzImage\n' "$dir"
	elif [ "$name" = debian ]; then
		dir=$(debian_kernel) || exit
		printf '%s/bzImage\n' "$dir"
	elif [ -d "$name" ] && [ -e "$name/Kbuild" ]; then
		kernel_build_tree "$name" >&2 || exit
		printf '%s/arch/x86/boot/bzImage\n' "$(readlink -f "$name")"
	elif [ -d "$name" ] && [ -e "$name/arch/x86/boot/bzImage" ]; then
		printf '%s/arch/x86/boot/bzImage\n' "$(readlink -f "$name")"
	elif [ -f "$name" ]; then
		readlink -f "$name"
	else
		die "no kernel '$name'" "it is one of: $kernel_names debian, or the path of a bzImage or of a kernel tree"
	fi
}

# A short name of a kernel for tables and file names.
kernel_label() {
	local name=$1

	kernel_is_ours "$name" || [ "$name" = debian ] || name=$(basename "$(readlink -m "$name")")
	printf '%s\n' "${name//[^A-Za-z0-9._+-]/_}"
}

kernel_is_ours() {
	[[ $1 != *' '* && " $kernel_names " == *" $1 "* ]]
}

# kernels_wanted DEFAULT...: prints the kernels that $KERNEL stands for, one a line: names, or one path.
kernels_wanted() {
	if [ -z "${KERNEL:-}" ]; then
		printf '%s\n' "$@"
	elif [ -e "$KERNEL" ]; then
		printf '%s\n' "$KERNEL"
	else
		xargs -n 1 <<<"$KERNEL"
	fi
}
