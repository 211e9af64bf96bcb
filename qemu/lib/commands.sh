# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The small commands: fetch, source-file, build, tree, refresh, clean. run, shell and test have files of their own.

cmd_fetch() {
	at_most 1 "$@"
	case ${1:-} in
	'') with_lock source source_ensure || exit ;;
	--update)
		with_lock source source_update || exit
		debian_update
		;;
	*) die "fetch: unknown option '$1'" "see: qemu/vm fetch --help" ;;
	esac
	printf '%s/linux\n' "$(source_dir)"
}

cmd_source_file() {
	local path

	case ${1:-} in
	--selftest-headers) source_selftest_headers ;;
	'' | -*) die "source-file: needs a path inside the kernel source" "for example: qemu/vm source-file MAINTAINERS" ;;
	*)
		for path in "$@"; do
			source_file "$path" || exit
		done
		;;
	esac
}

cmd_build() {
	local names=() name

	while [ $# -gt 0 ]; do
		case $1 in
		--kernel) need_value "$@" && names+=("$2") && shift ;;
		--kernel=*) names+=("${1#*=}") ;;
		qemu) names+=(qemu) ;;
		-*) die "build: unknown option '$1'" "see: qemu/vm build --help" ;;
		*) names+=("$1") ;;
		esac
		shift
	done
	[ ${#names[@]} -gt 0 ] || mapfile -t names < <(kernels_wanted stock patched)
	for name in "${names[@]}"; do
		if [ "$name" = qemu ]; then
			emulator_build || exit
		else
			kernel_image "$name" || exit
		fi
	done
}

cmd_tree() {
	at_most 1 "$@"
	case ${1:-} in
	-*) die "tree: unknown option '$1'" "see: qemu/vm tree --help" ;;
	esac
	tree_make "$(realpath -m "${1:-$(tree_default)}")"
}

cmd_refresh() {
	at_most 1 "$@"
	case ${1:-} in
	-*) die "refresh: unknown option '$1'" "see: qemu/vm refresh --help" ;;
	esac
	tree_refresh "$(realpath -m "${1:-$(tree_default)}")"
}

# Nothing is taken from under another vm: clean holds all locks until it ends.
clean_lock() {
	local lock fd

	for lock in "$cache"/lock/* "$results/.lock"; do
		[ -e "$lock" ] || continue
		exec {fd}<"$lock"
		flock -n "$fd" || die "another vm holds $lock" "clean when it is done"
	done
}

# The folder may be one that others use as well: what is removed has the mark of results_new(), or the name of our tests.
clean_results() {
	local mark

	for mark in "$results"/*/.stasis; do
		rm -rf "${mark%/.stasis}" "${mark%/.stasis}".{txt,xml}
	done
	rm -rf "$tests_build"
}

# Removes what can be made again. Trees of qemu/vm tree hold the user's work and stay.
cmd_clean() {
	local what=${1:-work}

	at_most 1 "$@"
	case $what in
	results | work | all) clean_lock && clean_results ;;
	*) die "clean: '$what' is none of: results, work, all" "see: qemu/vm clean --help" ;;
	esac
	case $what in
	work) rm -rf "$cache"/{work,log,tree/check} "$cache"/series.* ;;
	all) rm -rf "$cache"/{work,log,tree/check,check,kernel,headers,minimal,qemu,apt,source,ccache,initrd,kvm} "$cache"/series.* ;;
	esac
}
