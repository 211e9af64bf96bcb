# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Which emulator and which accelerator a guest is run with.

# Whether a CPU model shows itself as Intel's, for which the kernel knows CPUID faulting.
cpu_is_intel() {
	case $1 in
	*vendor=GenuineIntel*) return 0 ;;
	*vendor=*) return 1 ;;
	Conroe* | Penryn* | Nehalem* | Westmere* | SandyBridge* | IvyBridge* | Haswell* | Broadwell* | Skylake* | Cascadelake* | \
		Cooperlake* | Icelake* | SapphireRapids* | GraniteRapids* | SierraForest* | Snowridge* | Denverton* | KnightsMill* | \
		core2duo* | coreduo* | n270*) return 0 ;;
	esac
	return 1
}

# emulator_for CPU ACCEL: prints the program to run. KVM has CPUID faulting of its own.
emulator_for() {
	local cpu=$1 accel=$2

	if [ "$accel" != kvm ] && cpu_is_intel "$cpu"; then
		emulator_build
	elif command -v qemu-system-x86_64; then
		:
	else
		say "no qemu-system-x86_64 on this machine (package qemu-system-x86): using one built from source"
		emulator_build
	fi
}

# shellcheck disable=SC2120 # those that call it with an image are in other files
# accelerator [IMAGE]: kvm if some guest reached its command under KVM since this machine was booted. One that did not
# speaks for its own kernel only.
#
#   $cache/kvm/BOOT-ID         there is KVM
#   $cache/kvm/BOOT-ID-KERNEL  there is none with this kernel
accelerator() {
	local image=${1:-} yes no

	if [ -n "${STASIS_ACCEL:-}" ]; then
		case $STASIS_ACCEL in
		kvm | tcg | icount) printf '%s\n' "$STASIS_ACCEL" && return ;;
		*) die "STASIS_ACCEL is '$STASIS_ACCEL'" "it is kvm, tcg, icount or unset" ;;
		esac
	fi
	if ! kvm_there; then
		printf 'tcg\n'
		return
	fi
	yes=$cache/kvm/$(cat /proc/sys/kernel/random/boot_id)
	if grep -qsx kvm "$yes"; then
		printf 'kvm\n'
		return
	fi
	[ -n "$image" ] || image=$(kernel_image "${KERNEL:-stock}") || exit
	no=$yes-$(hash_of <"$image")
	if [ ! -e "$no" ]; then
		mkdir -p "$cache/kvm"
		if kvm_probe "$image" >&2; then
			say '/dev/kvm is there and a probe guest booted: using it'
			printf 'kvm\n' | tee "$yes"
			return
		fi
		say '/dev/kvm is there and a probe guest did not boot: using software emulation'
		: >"$no"
	fi
	printf 'tcg\n'
}

kvm_there() {
	[ -r /dev/kvm ] && [ -w /dev/kvm ]
}

# Presence of /dev/kvm says little (nested machines, broken CPUs): boot a guest and see.
kvm_probe() (
	boot_defaults 20
	boot_cpu=host
	boot_quiet=1
	STASIS_ACCEL=kvm
	command -v qemu-system-x86_64 >/dev/null || exit 1
	timeout 5 qemu-system-x86_64 -machine none -accel kvm -display none -monitor stdio <<<quit >/dev/null 2>&1 || exit 1
	boot_limit=20
	guest_run "$1" true
	[ "$guest_status" = 0 ]
)

cmd_probe() {
	local accel

	at_most 0 "$@"
	accel=$(accelerator '') || exit
	printf 'accelerator: %s\n' "$accel"
	printf 'emulator: %s\n' "$(command -v qemu-system-x86_64 || printf 'none of the system')"
	printf 'emulator with CPUID faulting: %s\n' "$(emulator_built || printf 'not built (qemu/vm build qemu)')"
}

# Debian's QEMU source with our patches, for x86_64 under software emulation and little else.
emulator_suite=bookworm

emulator_key() {
	{
		printf '%s\n' "$emulator_suite"
		gcc --version | head -n 1
		cat "$top"/qemu/patches/*.patch "$top/qemu/config/emulator.mak"
		# The way of building below, without its comments.
		declare -f emulator_configure
	} | hash_of
}

emulator_built() {
	local program

	program=$cache/qemu/$(emulator_key)/qemu-system-x86_64
	[ -x "$program" ] && printf '%s\n' "$program"
}

# emulator_build: builds if need be and prints the program.
emulator_build() {
	emulator_built && return
	with_lock qemu emulator_build_locked >&2 || exit
	emulator_built
}

emulator_build_locked() {
	local out start=$SECONDS

	emulator_built >/dev/null && return
	need_program gcc make ninja pkg-config dpkg-source patch python3
	out=$cache/qemu/$(emulator_key)
	need_room 3 "building QEMU"
	logged "$cache/log/qemu-source.log" "getting QEMU's source" emulator_source "$out" ||
		unavailable "no QEMU source" "is the mirror reachable? try: apt-get update"
	logged "$cache/log/qemu-build.log" "building QEMU with CPUID faulting" emulator_compile "$out" || die "QEMU did not build"
	rm -rf "$out.src"
	say "built QEMU in $((SECONDS - start)) s"
}

emulator_source() {
	local out=$1 root patch

	rm -rf "$out.src" "$out.dl"
	mkdir -p "$out.dl" && root=$(apt_root deb-src "$emulator_suite") || return
	(cd "$out.dl" && apt_private "$root" apt-get source --download-only --only-source qemu) || return
	dpkg-source --no-check -x "$out.dl"/*.dsc "$out.src" && rm -rf "$out.dl" || return
	for patch in "$top"/qemu/patches/*.patch; do
		patch -d "$out.src" -p1 -s -F0 --no-backup-if-mismatch <"$patch" || return
	done
	cp "$top/qemu/config/emulator.mak" "$out.src/configs/devices/x86_64-softmmu/stasis.mak"
}

emulator_configure() {
	../configure --target-list=x86_64-softmmu --without-default-features --without-default-devices \
		--with-devices-x86_64=stasis --enable-tcg --enable-kvm --enable-virtfs --enable-attr --enable-cap-ng \
		--disable-install-blobs --disable-docs --disable-tools --disable-werror
}

emulator_compile() {
	local out=$1

	mkdir -p "$out.src/build" "$out.new" || return
	(cd "$out.src/build" && PATH="/usr/lib/ccache:$PATH" && export CCACHE_DIR="$cache/ccache" CCACHE_NOHASHDIR=1 &&
		emulator_configure && ninja -j"${JOBS:-$(nproc)}" qemu-system-x86_64) || return
	strip -o "$out.new/qemu-system-x86_64.bin" "$out.src/build/qemu-system-x86_64" || return
	# Firmware is not built: the distribution's is found where its packages put it.
	cat >"$out.new/qemu-system-x86_64" <<-'END' || return
		#!/bin/sh
		exec "${0%/*}/qemu-system-x86_64.bin" -L /usr/share/qemu -L /usr/share/seabios -L /usr/lib/ipxe/qemu "$@"
	END
	chmod +x "$out.new/qemu-system-x86_64" && rm -rf "$out" && mv "$out.new" "$out"
}
