# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What --help prints.

# wants_help COMMAND ARGUMENT...: whether --help is among them. run and shell, whose arguments may be another program's, look
# for it themselves.
wants_help() {
	local command=$1 arg

	shift
	for arg in "$@"; do
		case $arg in
		-h | --help) return 0 ;;
		esac
		[ "$command" != run ] && [ "$command" != shell ] || return 1
	done
	return 1
}

help_commands() {
	printf '%s\n' run shell test tree refresh check build fetch source-file probe clean help
}

help_main() {
	cat <<'END'
usage: qemu/vm [--base SERIES] COMMAND [OPTION]... [ARGUMENT]...

Builds Linux kernels, boots them in QEMU over this machine's own userland, and
runs commands and tests in them.

  run [OPTION]... [--] COMMAND...   boot, run a command as root, return its status
  shell [OPTION]...                 boot and give a prompt
  test [OPTION]... [TOPIC]...       run the kernel selftests on several kernels
  build [KERNEL]... [qemu]          build without running
  tree [DIR]                        make a git tree of the kernel with our patches
  refresh [DIR]                     write that tree's commits back to kernel-patches/
  check [--boot] [PATCH|TOPIC]...   apply, checkpatch, compile (boot, test) the patches one by one
  fetch [--update]                  get and unpack the kernel source
  source-file PATH...               print where a file of the kernel source lies
  probe                             say how guests would be run here
  clean [results|work|all]          remove what can be made again
  help [COMMAND]

KERNEL is stock, patched (stock with kernel-patches/), debug (patched, with lockdep,
KASAN and other checks), debian (Debian's own kernel, downloaded), a bzImage, or a kernel
tree, which is built in place.

SERIES is the base, the Linux that all this is about: a folder of kernel-patches/
(default: 6.12).

environment:
  KERNEL          kernel or kernels for commands that are given none
  STASIS_SMP      CPUs of guests for which nothing else says how many (default: 1)
  STASIS_KEEP     1 keeps the folder of a guest with its log, initramfs and output
  JOBS            compile this many files at a time (default: number of CPUs)
  STASIS_CACHE    downloads, builds (default: $XDG_CACHE_HOME/stasis or ~/.cache/stasis)
  STASIS_ACCEL    kvm or tcg instead of what the probe finds, or icount: tcg with a clock that
                  goes on by a nanosecond with each instruction of the guest
  STASIS_KERNEL_SERIES   the base, as --base
  STASIS_RESULTS  where tests leave their results (default: build/results)
  STASIS_TOPICS   the tests (default: selftests/kernel)
  STASIS_PATCHES  the series, a folder for each base (default: kernel-patches)
  STASIS_SMP      number of CPUs of a guest that is given none (default: 1)
  STASIS_KEEP     if set, what a guest leaves in $TMPDIR/stasis-vm.* is kept: logs, streams
  V               1 shows the output of builds
END
}

help_boot_options() {
	cat <<'END'
  --kernel KERNEL   stock, patched, debug, debian, a bzImage or a kernel tree (default: patched)
  --cpu MODEL       QEMU's name of a CPU model. An Intel model (or ...,vendor=GenuineIntel)
                    gets an emulator with CPUID faulting (default: max)
  --mem SIZE        memory, as QEMU takes it (default: 2G)
  --smp N           number of CPUs (default: 1)
  --append ARGS     more kernel command line
  --timeout SECONDS give up after this long, 0 for never
  --root DIR        userland of the guest: a folder, or 'minimal' for busybox alone
                    (default: /, this machine's own, read-only under an overlay)
  --rw DIR          share this folder read-write at the same place (may be repeated)
  --ro DIR          share a folder that --root does not have there, read-only
  --env NAME=VALUE  set in the command's environment (may be repeated)
  --stdin           give the command the standard input of this one (else it has none)
  --console         show the kernel's log, with all its levels, while the guest runs
  --allow-splat     do not fail because of a warning or an oops in the kernel's log
  --log FILE        keep the kernel's log, with all its levels, in FILE
  --gdb             wait for gdb before the first instruction; says how to attach it
  --qemu ARGS       more arguments for the emulator, split at spaces (may be repeated)
END
}

cmd_help() {
	case ${1:-} in
	'' | help) help_main ;;
	run)
		printf 'usage: qemu/vm run [OPTION]... [--] COMMAND [ARGUMENT]...\n\n'
		printf 'Boots a kernel, runs COMMAND as root in the present folder and ends.\n\n'
		help_boot_options
		cat <<'END'

exit status: the command's; 124 after a timeout; 141 if nobody reads its output any
more; 125 if the guest could not be built, booted, died or gave no sign of life for five
minutes, or its kernel printed a warning, an oops or a lockdep report, or counts one as
printed (then the log is shown and the command's own status is printed).
END
		;;
	shell)
		printf 'usage: qemu/vm shell [OPTION]... [-- COMMAND [ARGUMENT]...]\n\n'
		printf 'Boots a kernel and gives a prompt (or COMMAND) on this terminal. Leave it with exit\nor Ctrl-D; Ctrl-A x ends the guest at once.\n\n'
		help_boot_options
		;;
	test)
		cat <<'END'
usage: qemu/vm test [OPTION]... [TOPIC[/TEST]]...

Builds the tests of selftests/kernel/ against the patched kernel's headers, runs each
topic in a guest of its own on each kernel, and prints one table: a row per test, a
column per kernel. The topic 'tool' stands for the tests of stasis itself, the programs
of selftests/run; it is run only when named.

  --kernel KERNEL   a column (may be repeated; default: stock patched)
  --list            print the topics and their tests
  --tap             print TAP instead of the table
  --build-limit SECONDS   build everything first; if that takes longer, or something cannot
                    be fetched or there is no room for it, skip all and say why (status 4)
  --cpu, --mem, --smp, --append, --timeout, --console   as for run, for all topics;
                    a topic's own wishes are in its file 'vm'
  --repeat N        run each test program N times; the rows of all but the first are numbered
  --set NAME        name of this run in the results (default: selftests)

Results are left in build/results: NAME/KERNEL/TOPIC.ktap and .log, NAME.txt (the
table), NAME.xml (JUnit). Another run waits for this one to end.

exit status: 0 if no test failed and no guest died or printed a warning, 1 if one did,
125 if something could not be built, or a guest ended before its first test.
END
		;;
	build) printf 'usage: qemu/vm build [KERNEL]... [qemu]\n\nBuilds kernels (default: stock and patched) and prints where they are. qemu: the\nemulator with CPUID faulting.\n' ;;
	tree) printf 'usage: qemu/vm tree [DIR]\n\nMakes a git tree of the kernel source in DIR, a commit per patch of kernel-patches/,\non branch stasis after tag stock-base. Default: %s\n' "$(tree_default)" ;;
	refresh) printf 'usage: qemu/vm refresh [DIR]\n\nWrites the commits after stock-base in DIR to kernel-patches/. A commit keeps the file\nname of its patch; new ones go to the folder of the commit before them. A tree of another\nbase than the default takes --base here as well. Default: %s\n' "$(tree_default)" ;;
	check)
		cat <<'END'
usage: qemu/vm check [--boot [--no-tests] [--again]] [PATCH|TOPIC]...

Applies the patches of kernel-patches/ one by one with git am, runs checkpatch --strict on
each, and compiles after each the files that the series touches. A compiler's warning is a
failure. PATCH is a file name or its number (0013), TOPIC the name in a README-TOPIC.md that
the series mentions above the patches; without them it is all. The patches before one that
is asked for are applied in any case.

  --boot      first without any patch ('stock' in place of a PATCH asks for it), then after
              each patch build the whole kernel (without debug information), boot it, run a few
              commands (qemu/guest/smoke.sh), and the selftests of the patch's topic: none may
              fail, but those of what is not there yet skip. What was found good is kept, and not
              done again as long as nothing that had a part in it changed.
  --no-tests  with --boot: only boot
  --again     with --boot: do it all again

Prints a row per patch. Results are left in build/results: check.txt (the table), and in
check/PATCH/ build.log, boot.log (the kernel's), boot.out, report (the tests).

exit status: 0 if all is well, 1 if something is wrong with a patch, 125 if one does not
apply or something could not be built that is no patch's fault.
END
		;;
	fetch) printf 'usage: qemu/vm fetch [--update]\n\nDownloads (once) and unpacks the kernel source, and prints its folder. --update takes\na newer version if there is one, also of the kernel debian if that was fetched.\n' ;;
	source-file) printf 'usage: qemu/vm source-file PATH...\n       qemu/vm source-file --selftest-headers\n\nPrints where files of the kernel source lie, without unpacking all of it; with\n--selftest-headers, a folder with kselftest.h and kselftest_harness.h.\n' ;;
	probe) printf 'usage: qemu/vm probe\n\nSays which emulator and accelerator guests are run with here.\n' ;;
	clean) printf 'usage: qemu/vm clean [results|work|all]\n\nresults: what tests left, and the tests as they were built. work (default): also build\nfolders and logs; finished kernels, ccache and downloads stay. all: those too. Trees of\nqemu/vm tree always stay.\n' ;;
	*) die "no command '$1'" "the commands: $(help_commands | tr '\n' ' ')" ;;
	esac
}
