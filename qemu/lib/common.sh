# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What every part of the workshop uses: folders, messages, locks. Sourced by qemu/vm, which sets $top.

# The base: which kernel all is about. qemu/vm --base sets the variable, so that what qemu/vm starts knows it as well.
kernel_series=${STASIS_KERNEL_SERIES:-6.12}
cache=${STASIS_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/stasis}
results=${STASIS_RESULTS:-$top/build/results}
patch_root=${STASIS_PATCHES:-$top/kernel-patches}
vm_verbose=${V:-0}
# Commands are run in other folders than this.
cache=$(realpath -ms "$cache") results=$(realpath -ms "$results") patch_root=$(realpath -ms "$patch_root")
patch_dir=$patch_root/$kernel_series

say() {
	printf '%s\n' "vm: $*" >&2
}

# die MESSAGE [HINT]: what failed, and what to do next.
die() {
	printf '%s\n' "vm: error: $1" >&2
	[ $# -lt 2 ] || printf '%s\n' "vm: $2" >&2
	exit 125
}

# What this machine cannot give at present (network, room on the disk). `qemu/vm test --build-limit`, which skips for it, has
# it told from what is wrong with the tree by a status of its own.
unavailable() {
	(die "$@") || exit "${STASIS_UNAVAILABLE:-125}"
}

# The kernel's Makefile takes neither blanks nor colons in the name of its folder.
case $cache in
*[[:space:]:]*) die "kernels cannot be built in '$cache'" "STASIS_CACHE names another folder, without blanks or colons" ;;
esac

# need_room GIGABYTES WHAT: in the folder of the cache.
need_room() {
	local free

	mkdir -p "$cache"
	free=$(df --output=avail -B1G "$cache" | tail -n 1)
	[ "$free" -ge "$1" ] || unavailable "$2 needs $1 GB in $cache, which has ${free// /} GB" "STASIS_CACHE names another folder; qemu/vm clean makes room"
}

need_program() {
	local missing=() p

	for p in "$@"; do
		command -v "$p" >/dev/null || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] ||
		die "missing programs: ${missing[*]}" "install the packages of .ci/packages: apt-get install \$(sed 's/#.*//' .ci/packages)"
}

# A base is a folder of kernel-patches/.
need_base() {
	local dir bases=()

	for dir in "$patch_root"/*/; do
		bases+=("$(basename "$dir")")
		[ "${bases[-1]}" != "$kernel_series" ] || return 0
	done
	die "no base '$kernel_series'" "the bases are the folders of $patch_root: ${bases[*]:-none}"
}

need_value() {
	[ $# -ge 2 ] || die "option $1 needs a value" "see: qemu/vm help"
}

# at_most N ARGUMENT...
at_most() {
	[ $# -le $(($1 + 1)) ] || die "an argument too many: '${*: -1}'" "see: qemu/vm help"
}

# with_lock NAME COMMAND...: one at a time among all checkouts that share the cache; NAME may be a path elsewhere.
with_lock() {
	local lock=$1 fd rc=0

	shift
	[ "${lock:0:1}" = / ] || lock=$cache/lock/$lock
	mkdir -p "${lock%/*}"
	exec {fd}>"$lock"
	if ! flock -n "$fd"; then
		say "waiting for another vm, which holds $lock"
		flock "$fd"
	fi
	# The lock belongs to this shell: a background child must not keep it.
	"$@" {fd}>&- || rc=$?
	exec {fd}>&-
	return "$rc"
}

# logged LOG WHAT COMMAND...: quiet unless it fails or V=1 is set; then the end of the log is shown.
logged() {
	local log=$1 what=$2 rc=0

	shift 2
	mkdir -p "$(dirname "$log")"
	say "$what (log: $log)"
	if [ "$vm_verbose" != 0 ]; then
		"$@" 2>&1 </dev/null | tee "$log" >&2 || rc=$?
	else
		"$@" >"$log" 2>&1 </dev/null || rc=$?
	fi
	[ "$rc" -eq 0 ] && return 0
	[ "$vm_verbose" != 0 ] || tail -n 40 "$log" >&2
	say "error: $what failed with status $rc; whole log: $log"
	return "$rc"
}

# results_new NAME: an empty folder for the results of a run, with the mark by which clean knows it.
results_new() {
	local dir=${results:?}/$1

	rm -rf "$dir" "$dir".{txt,xml}
	mkdir -p "$dir" && : >"$dir/.stasis" || die "cannot write to $results"
}

hash_of() {
	sha256sum | cut -c1-12
}

