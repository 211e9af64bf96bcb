# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The small commands: fetch, source-file, build, tree, refresh, clean. run, shell and test have files of their own.

cmd_fetch() {
	case ${1:-} in
	'') with_lock source source_ensure || exit ;;
	--update) with_lock source source_update || exit ;;
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
	if [ ${#names[@]} -eq 0 ]; then
		if [ -n "${KERNEL:-}" ]; then names=("$KERNEL"); else names=(stock patched); fi
	fi
	for name in "${names[@]}"; do
		if [ "$name" = qemu ]; then
			emulator_build || exit
		else
			kernel_image "$name" || exit
		fi
	done
}

cmd_tree() {
	case ${1:-} in
	-*) die "tree: unknown option '$1'" "see: qemu/vm tree --help" ;;
	esac
	tree_make "$(realpath -m "${1:-$(tree_default)}")"
}

cmd_refresh() {
	case ${1:-} in
	-*) die "refresh: unknown option '$1'" "see: qemu/vm refresh --help" ;;
	esac
	tree_refresh "$(realpath -m "${1:-$(tree_default)}")"
}

# Removes what can be made again. Trees of qemu/vm tree hold the user's work and stay.
cmd_clean() {
	local what=${1:-work}

	case $what in
	results) rm -rf "$results" ;;
	work) rm -rf "$results" "$cache/work" "$cache/log" ;;
	all) rm -rf "$results" "$cache"/{work,log,check,kernel,headers,minimal,qemu,apt,source,ccache,initrd,kvm,lock} ;;
	*) die "clean: '$what' is none of: results, work, all" "see: qemu/vm clean --help" ;;
	esac
}
