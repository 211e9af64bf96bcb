# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# qemu/vm run and qemu/vm shell.

# The kernel for commands that take one: --kernel, else $KERNEL, else patched.
run_kernel() {
	printf '%s\n' "${boot_kernel:-${KERNEL:-patched}}"
}

cmd_run() {
	local image

	boot_defaults 0
	while [ $# -gt 0 ]; do
		case $1 in
		--)
			shift
			break
			;;
		-h | --help) cmd_help run && exit ;;
		--*) boot_option "$@" ;;
		-*) boot_taken=0 ;;
		*) break ;;
		esac
		[ "$boot_taken" -gt 0 ] || die "run: unknown option '$1'" "see: qemu/vm run --help"
		shift "$boot_taken"
	done
	[ $# -gt 0 ] || die "run: no command" "for example: qemu/vm run -- uname -a"
	boot_kernel=$(run_kernel)
	image=$(kernel_image "$boot_kernel") || exit
	guest_run "$image" "$@"
	run_end
}

# Leaves with the status of the run.
run_end() {
	if [ -z "$guest_problem" ]; then exit "$guest_status"; fi
	if [ "$guest_problem" = "$guest_unread" ]; then
		say "$guest_problem: the guest was ended"
		# As of a command that SIGPIPE ended.
		exit 141
	fi
	guest_show_problem "$guest_dir"
	[ -z "$guest_status" ] || say "the command itself ended with status $guest_status"
	case $guest_problem in
	'the command did not end within'* | 'the guest hangs'*) exit 124 ;;
	esac
	exit 125
}

cmd_shell() {
	local image

	boot_defaults 0
	while [ $# -gt 0 ]; do
		if [ "$1" = -- ]; then
			shift
			break
		fi
		[[ $1 != -h && $1 != --help ]] || { cmd_help shell && exit; }
		boot_option "$@"
		[ "$boot_taken" -gt 0 ] || die "shell: unknown option '$1'" "see: qemu/vm shell --help"
		shift "$boot_taken"
	done
	[ -t 0 ] || die "shell: standard input is not a terminal" "to run one command: qemu/vm run -- COMMAND"
	# A busybox userland has no bash.
	[ $# -gt 0 ] || set -- /bin/sh -c 'if [ -x /bin/bash ]; then exec /bin/bash -l; else exec /bin/sh -l; fi'
	boot_kernel=$(run_kernel)
	image=$(kernel_image "$boot_kernel") || exit
	boot_tty=1
	boot_stdin=0
	boot_env+=(PS1='\u@\h:\w\$ ')
	say "booting $boot_kernel; leave with exit, end the guest at once with Ctrl-A x"
	guest_run "$image" "$@"
	run_end
}
