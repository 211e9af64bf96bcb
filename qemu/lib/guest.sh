# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# One guest: its initramfs, its command line, its streams, its end.
#
# boot_* are what the user asked for, guest_* what came out:
#   guest_status   the command's exit status, empty if it never ended
#   guest_problem  why the run is not to be trusted, empty if all is well
#   guest_dir      console.log, ktap, out, err, qemu.log of the run

boot_defaults() {
	boot_kernel=''
	boot_cpu=max
	boot_mem=2G
	boot_smp=${STASIS_SMP:-1}
	boot_append=''
	boot_timeout=${1:-0}
	boot_root=/
	boot_shares=()
	boot_env=()
	boot_console=0
	boot_allow_splat=0
	boot_log=''
	boot_tty=0
	boot_stdin=0
	boot_gdb=0
	boot_qemu=()
}

# boot_option ARGUMENTS...: takes one option. boot_taken is how many arguments that were, 0 for no option of a boot.
boot_option() {
	local name=$1 value

	boot_taken=1
	case $name in
	--console) boot_console=1 && return ;;
	--allow-splat) boot_allow_splat=1 && return ;;
	--stdin) boot_stdin=1 && return ;;
	--gdb) boot_gdb=1 && return ;;
	--*=*) value=${name#*=} && name=${name%%=*} ;;
	--kernel | --cpu | --mem | --smp | --append | --timeout | --root | --rw | --ro | --env | --log | --qemu)
		need_value "$@"
		value=$2
		boot_taken=2
		;;
	esac
	case $name in
	--kernel) boot_kernel=$value ;;
	--cpu) boot_cpu=$value ;;
	--mem) boot_mem=$value ;;
	--smp) boot_smp=$value ;;
	--append) boot_append+=" $value" ;;
	--timeout) boot_timeout=$value ;;
	--root) boot_root=$value ;;
	--rw | --ro) boot_share "${name#--}" "$value" ;;
	--env) boot_env+=("$value") ;;
	--log) boot_log=$value ;;
	--qemu) read -ra value <<<"$value" && boot_qemu+=("${value[@]}") ;;
	*) boot_taken=0 && return ;;
	esac
	[[ $boot_timeout =~ ^[0-9]+$ ]] || die "--timeout '$boot_timeout' is not a number of seconds"
	boot_timeout=$((10#$boot_timeout))
	[[ $boot_smp =~ ^[1-9][0-9]*$ ]] || die "--smp '$boot_smp' is not a number of CPUs"
	[ "$name" != --kernel ] || [ -n "$boot_kernel" ] || die "--kernel needs the name of one" "see: qemu/vm help"
	[ "$name" != --log ] || { : >>"$boot_log"; } 2>/dev/null || die "--log '$boot_log' cannot be written"
}

boot_share() {
	local path

	path=$(readlink -e "$2") && [ -d "$path" ] || die "--$1 '$2' is not a folder"
	[[ $path != *$'\n'* ]] || die "--$1 '$2': a folder with a line break in its name cannot be shared"
	case $path in
	/ | /dev | /run | /proc | /proc/* | /sys | /sys/*) die "--$1 '$2': the guest has its own $path" "share folders below it that the command needs" ;;
	esac
	[ ${#boot_shares[@]} -lt 16 ] || die "--$1 '$2': no more than 16 folders can be shared" "share one that they are in"
	boot_shares+=("$1 $path")
}

# The initramfs holds nothing but init; built once per version of it.
guest_initrd() {
	local src=$top/qemu/guest/init.c key dir

	key=$({ cat "$src"; gcc --version | head -n 1; } | hash_of)
	dir=$cache/initrd/$key
	if [ ! -e "$dir/initrd" ]; then
		need_program gcc cpio
		rm -rf "$dir.$$" && mkdir -p "$dir.$$/root/vm"
		gcc -std=gnu11 -O2 -Wall -Wextra -static -s -o "$dir.$$/root/init" "$src" ||
			die "could not compile $src" "a static C library is needed: libc6-dev"
		(cd "$dir.$$/root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$dir.$$/initrd" || die "cpio failed"
		mv -T "$dir.$$" "$dir" 2>/dev/null || rm -rf "$dir.$$"
	fi
	printf '%s/initrd\n' "$dir"
}

# guest_orders DIR IMAGE COMMAND...: appends to the initramfs what init is to do, and modules that it needs for that.
guest_orders() {
	local dir=$1 image=$2 size share home=/root

	shift 2
	# What this user may not read here cannot be read in the guest either, not even by its root.
	[ "$(id -u)" = 0 ] || home=/run/root
	mkdir -p "$dir/cpio/vm"
	printf '%s\0' "$@" >"$dir/cpio/vm/argv"
	printf '%s\0' PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=$home USER=root LOGNAME=root \
		SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}" STASIS_VM=1 "${boot_env[@]}" >"$dir/cpio/vm/env"
	{
		printf 'cwd %s\ntimeout %s\ninput %s\n' "$PWD" "$boot_timeout" "$boot_stdin"
		for share in "${boot_shares[@]}"; do printf '%s\n' "$share"; done
		if [ "$boot_tty" = 1 ]; then
			printf 'tty /dev/hvc0\n'
			size=$(stty size 2>/dev/null) && printf 'rows %s\ncols %s\n' "${size% *}" "${size#* }"
		fi
	} >"$dir/cpio/vm/conf"
	boot_modules_for "$image" "$dir/cpio/vm/modules" || return
	cat "$(guest_initrd)" >"$dir/initrd" && (cd "$dir/cpio" && find vm | cpio -o -H newc -R 0:0 --quiet) >>"$dir/initrd"
}

# The log level lets warnings through, or all for one who wants to read it; an oops ends the guest instead of leaving locks
# behind that would hang it. On a busy machine an emulated timer comes too late for the kernel's test of it, which panics then.
guest_append() {
	local level=5

	if [ "$boot_console" = 1 ] || [ -n "$boot_log" ]; then level=8; fi
	[ "$boot_gdb" = 0 ] || printf 'nokaslr '
	printf '%s' "console=ttyS0 loglevel=$level secretmem.enable=1 panic=-1 oops=panic unknown_nmi_panic=1 printk.devkmsg=on" \
		" no_timer_check rcupdate.rcu_cpu_stall_timeout=120" "${boot_append:+ $boot_append}"
}

# guest_arguments DIR BZIMAGE ACCEL: fills guest_args. A comma in a path is doubled, else it would end the path.
guest_arguments() {
	local dir=${1//,/,,} image=$2 accel=$3 i=0 share port root=$boot_root

	if [ "$root" = minimal ]; then root=$(minimal_root) || exit; fi
	root=$(readlink -e "$root") && [ -d "$root" ] || die "--root '$boot_root' is not a folder"
	case $accel in
	kvm) guest_args=(-accel kvm) ;;
	# Instead of waiting for a timer its time is made to come, so an idle guest takes no longer.
	icount) guest_args=(-accel tcg,thread=single -icount shift=0,sleep=off) ;;
	*) guest_args=(-accel tcg,thread=multi) ;;
	esac
	guest_args+=(-machine pc -cpu "$boot_cpu" -m "$boot_mem" -smp "$boot_smp"
		-nodefaults -no-reboot -display none
		-kernel "$image" -initrd "$1/initrd" -append "$(guest_append)"
		-chardev "file,id=console,path=$dir/console.log" -serial chardev:console
		-chardev "pipe,id=monitor,path=$dir/monitor" -mon chardev=monitor,mode=readline
		# Without ioeventfd a port's data has reached its file when the guest's write returns.
		-device virtio-serial-pci,ioeventfd=off,max_ports=8)
	# First of the ports, for init to find it connected: it waits for ctl before anything else.
	if [ "$boot_stdin" = 1 ]; then
		guest_args+=(-chardev stdio,id=in,signal=off -device virtserialport,chardev=in,name=stasis.in)
	fi
	for port in out err ktap ctl; do
		: >"$1/$port"
		guest_args+=(-chardev "file,id=$port,path=$dir/$port" -device "virtserialport,chardev=$port,name=stasis.$port")
	done
	if [ "$boot_tty" = 1 ]; then
		guest_args+=(-chardev stdio,id=tty,signal=off,mux=on -device virtconsole,chardev=tty)
	fi
	guest_args+=(-fsdev "local,id=root,path=${root//,/,,},security_model=none,readonly=on,multidevs=remap"
		-device virtio-9p-pci,fsdev=root,mount_tag=root)
	for share in "${boot_shares[@]}"; do
		root=${share#* }
		guest_args+=(-fsdev "local,id=share$i,path=${root//,/,,},security_model=none,multidevs=remap$([ "${share%% *}" = rw ] || printf ',readonly=on')"
			-device "virtio-9p-pci,fsdev=share$i,mount_tag=share$i")
		i=$((i + 1))
	done
	[ "$boot_gdb" = 0 ] || guest_args+=(-S -gdb "unix:$dir/gdb,server=on,wait=off")
	guest_args+=("${boot_qemu[@]}")
}

guest_unread='nobody reads the output any more'

# guest_watch DIR PID BOOT-LIMIT: ends a guest that does not reach its command, stops to tick, or does not end in time by
# itself, and one whose output or whose qemu/vm is gone. An NMI makes the kernel print where it hangs.
# Turns of a second are counted, not time, in which this machine may have slept.
guest_watch() {
	local dir=$1 pid=$2 limit=$3 turns=0 ctl='' new silent=0 silence reason=''

	silence=$((limit > 300 ? limit : 300))
	while [ -z "$reason" ] && kill -0 "$pid" 2>/dev/null; do
		sleep 1
		turns=$((turns + 1)) silent=$((silent + 1))
		new=$(stat -c %s "$dir/ctl" 2>/dev/null) || return 0
		[ "$new" = "$ctl" ] || silent=0
		ctl=$new
		if ! kill -0 $$ 2>/dev/null; then
			guest_clean
			return
		elif [ -n "$guest_reader" ] && ! kill -0 "$guest_reader" 2>/dev/null && kill -0 "$pid" 2>/dev/null; then
			printf '%s\n' "$guest_unread" >"$dir/watchdog"
			kill -9 "$pid"
			return
		elif [ "$boot_gdb" = 1 ]; then
			continue
		elif [ "$ctl" = 0 ]; then
			[ "$turns" -lt "$limit" ] || reason="the guest did not come up within $limit s"
		elif [ "$silent" -gt "$silence" ]; then
			reason="the guest gave no sign of life for $silence s"
		elif [ "$boot_timeout" -gt 0 ] && [ "$turns" -gt $((boot_timeout + limit)) ]; then
			reason="the guest hangs: it did not end itself after its $boot_timeout s"
		fi
	done
	[ -n "$reason" ] || return 0
	printf '%s\n' "$reason" >"$dir/watchdog"
	printf 'nmi\n' >"$dir/monitor.in" &
	sleep 3
	kill -9 "$pid" 2>/dev/null || true
}

guest_clean() {
	[ -z "${guest_pid:-}" ] || kill "$guest_pid" 2>/dev/null || true
	[ -z "${guest_helpers:-}" ] || kill "${guest_helpers[@]}" 2>/dev/null || true
	[ -z "${guest_stty:-}" ] || stty "$guest_stty" 2>/dev/null || true
	[ -z "${guest_dir:-}" ] || [ -n "${STASIS_KEEP:-}" ] || rm -rf "$guest_dir"
}

# The kernel's log as text: whatever was printed to the console, it has no NUL, and grep is to take it for text.
guest_log() {
	tr -d '\r\0' <"$1"
}

# Lines of a kernel log that mean something is wrong with the kernel, and not with the CPU or with a program.
guest_splats() {
	guest_log "$1" | LC_ALL=C grep -a -v -e 'leaves CPU vulnerable' | LC_ALL=C grep -a -E -e 'WARNING: ' -e 'BUG: ' -e 'kernel BUG at' -e 'Oops: ' -e 'Kernel panic' -e 'INFO: task .* blocked' \
		-e 'INFO: rcu.* (stall|detected)' -e 'INFO: possible ' -e 'INFO: trying to register non-static key' -e 'general protection fault[,:]' \
		-e 'UBSAN: ' -e 'BUG kmalloc|BUG .*\(.*\): ' -e 'unable to handle' -e 'list_(add|del) corruption' -e 'ODEBUG: ' -e 'hard LOCKUP' \
		-e 'DEBUG_LOCKS_WARN_ON' -e 'kmemleak: [1-9]' -e 'blocked for more than' -e 'Bad page ' -e 'Bad rss-counter' || true
}

# guest_verdict DIR: reads how it ended out of ctl, watchdog and the log.
guest_verdict() {
	local dir=$1 last splats tainted

	guest_status=''
	guest_problem=''
	last=$(sed -e '/^tick$/d' -e '/^tainted /d' "$dir/ctl" | tail -n 1)
	tainted=$(sed -n 's/^tainted //p' "$dir/ctl")
	splats=$(guest_splats "$dir/console.log" | sed -n 1,20p)
	if [ -z "$splats" ] && [ -n "$tainted" ]; then
		splats="nothing, but the kernel says that it is tainted: $tainted (as by a warning that the log level hid)"
	fi
	case $last in
	'exit '*) guest_status=${last#exit } ;;
	timeout) guest_problem="the command did not end within $boot_timeout s" ;;
	'error '*) guest_problem="the guest's init failed: ${last#error }" ;;
	start) guest_problem='the guest died while the command ran' ;;
	*) guest_problem='the guest died before it came up' ;;
	esac
	[ ! -s "$dir/watchdog" ] || guest_problem=$(cat "$dir/watchdog")
	if [ -n "$splats" ] && [ "$boot_allow_splat" = 0 ]; then
		guest_problem+=${guest_problem:+$'\n'}"the kernel's log has:"$'\n'$splats
	fi
}

# guest_run IMAGE COMMAND...: boots and runs; fills guest_status and guest_problem. Output goes to stdout and stderr
# unless boot_quiet is set.
guest_run() {
	local image=$1 accel program limit=${boot_limit:-90}

	shift
	guest_dir=$(mktemp -d "${TMPDIR:-/tmp}/stasis-vm.XXXXXX") || exit 125
	trap guest_clean EXIT
	guest_helpers=()
	accel=$(accelerator "$image") || exit
	program=$(emulator_for "$boot_cpu" "$accel") || exit
	guest_orders "$guest_dir" "$image" "$@" || die "could not write the initramfs in $guest_dir"
	mkfifo "$guest_dir/monitor.in" "$guest_dir/monitor.out" "$guest_dir/in"
	# Held open for reading and writing, so that the emulator does not wait for someone at the other end.
	exec {guest_monitor}<>"$guest_dir/monitor.in" {guest_monitor_out}<>"$guest_dir/monitor.out"
	guest_arguments "$guest_dir" "$image" "$accel"
	: >"$guest_dir/console.log"
	[ "$accel" = kvm ] || limit=${boot_limit:-180}
	[[ $image != *debug* && $boot_kernel != debug ]] || limit=600

	[ "$boot_gdb" = 0 ] || say "the guest waits for: gdb -ex 'target remote $guest_dir/gdb' $(guest_vmlinux "$image")"
	if [ "$boot_tty" = 1 ]; then
		guest_stty=$(stty -g)
		"$program" "${guest_args[@]}" <&0 2>"$guest_dir/qemu.log" &
		guest_pid=$!
	elif [ "$boot_stdin" = 1 ]; then
		# Through a pipe of its own, as the emulator sets O_NONBLOCK on what it reads.
		"$program" "${guest_args[@]}" <"$guest_dir/in" >"$guest_dir/qemu.log" 2>&1 &
		guest_pid=$!
		cat >"$guest_dir/in" <&0 &
		guest_helpers+=($!)
	else
		"$program" "${guest_args[@]}" </dev/null >"$guest_dir/qemu.log" 2>&1 &
		guest_pid=$!
	fi
	guest_streams "$guest_dir" "$guest_pid"
	guest_watch "$guest_dir" "$guest_pid" "$limit" &
	guest_helpers+=($!)
	wait "$guest_pid" 2>/dev/null || true
	guest_pid=''
	# Where this is a subshell, and guest_watch has seen that qemu/vm was killed.
	kill -0 $$ 2>/dev/null || exit 125
	guest_stream_wait
	kill "${guest_helpers[@]}" 2>/dev/null || true
	exec {guest_monitor}>&- {guest_monitor_out}>&-
	guest_verdict "$guest_dir"
	[ -z "$boot_log" ] || guest_log "$guest_dir/console.log" >"$boot_log"
}

# Prints where the kernel's symbols are, if it was built here: in its tree, or in a work folder, as long as that was not used
# for another version of it.
guest_vmlinux() {
	case $boot_kernel in
	stock | patched | debug) find "$(kernel_work_dir "$boot_kernel")" -maxdepth 1 -name vmlinux 2>/dev/null ;;
	*) find "${1%/arch/x86/boot/bzImage}" -maxdepth 1 -name vmlinux ;;
	esac
}

guest_streams() {
	local dir=$1 pid=$2

	guest_tails=()
	guest_reader=''
	if [ -z "${boot_quiet:-}" ]; then
		tail -s 0.05 -c +1 -f --pid="$pid" "$dir/out" &
		guest_reader=$!
		tail -s 0.05 -c +1 -f --pid="$pid" "$dir/err" >&2 &
		guest_tails+=("$guest_reader" $!)
	fi
	if [ "$boot_console" = 1 ]; then
		tail -s 0.05 -c +1 -f --pid="$pid" "$dir/console.log" >&2 &
		guest_tails+=($!)
	fi
}

guest_stream_wait() {
	[ ${#guest_tails[@]} -eq 0 ] || wait "${guest_tails[@]}" 2>/dev/null || true
}

# Shows why a guest failed: the log around the first sign of trouble, or its end.
guest_show_problem() {
	local dir=$1 first line

	say "error: $guest_problem"
	if [ ! -s "$dir/console.log" ] && [ -s "$dir/qemu.log" ]; then
		say "the emulator said:"
		tail -n 20 "$dir/qemu.log" >&2
		return
	fi
	first=$(guest_splats "$dir/console.log" | sed -n 1p)
	say "the kernel's log:"
	if [ -n "$first" ]; then
		line=$(guest_log "$dir/console.log" | LC_ALL=C grep -anF -e "$first" | LC_ALL=C sed -n '1s/:.*//p')
		guest_log "$dir/console.log" | sed -n "$((line > 15 ? line - 15 : 1)),$((line + 80))p" >&2
	else
		guest_log "$dir/console.log" | tail -n 60 >&2
	fi
}

# A folder with busybox and nothing else: prints its name.
minimal_root() {
	local dir=$cache/minimal box d

	box=$(command -v busybox) || die "--root minimal needs busybox" "apt-get install busybox-static"
	if [ ! -f "$dir/bin/sh" ]; then
		rm -rf "$dir.$$"
		for d in bin sbin usr etc dev proc sys tmp run root lib lib64 mnt; do mkdir -p "$dir.$$/$d"; done
		cp "$box" "$dir.$$/bin/busybox"
		if ! "$box" | head -n 1 | grep -q BusyBox; then die "$box is not busybox"; fi
		for d in $("$box" --list); do [ "$d" = busybox ] || ln -sf busybox "$dir.$$/bin/$d"; done
		# A busybox that is not static brings its libraries along.
		ldd "$box" 2>/dev/null | grep -o '/[^ ]*' | while read -r d; do
			mkdir -p "$dir.$$/$(dirname "$d")" && cp -L "$d" "$dir.$$/$d"
		done
		printf 'root:x:0:0:root:/root:/bin/sh\n' >"$dir.$$/etc/passwd"
		printf 'root:x:0:\n' >"$dir.$$/etc/group"
		rm -rf "$dir" && mv "$dir.$$" "$dir"
	fi
	printf '%s\n' "$dir"
}
