# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Kernels that were built elsewhere: Debian's own, and the modules that a distribution's kernel needs for a guest's root.
#
#   $cache/kernel/debian-SERIES/   bzImage, config, lib/modules/RELEASE/ of the newest linux-image package of the series;
#                                  version: which that was

# What a guest needs before it has a root, where it is not built in.
boot_modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay)

# Prints "VERSION PACKAGE" of the newest package of the series that linux-image-amd64 stands for in one of the suites.
debian_newest() {
	apt_private "$1" apt-cache show linux-image-amd64 |
		awk '/^Version:/ { version = $2 } /^Depends:/ && match($0, /linux-image-[0-9][^ ,]*/) { print version, substr($0, RSTART, RLENGTH) }' | {
		local best='' name='' v p

		while read -r v p; do
			[[ $v == "$kernel_series".* ]] || continue
			if [ -z "$best" ] || dpkg --compare-versions "$v" gt "$best"; then best=$v name=$p; fi
		done
		printf '%s %s\n' "$best" "$name"
	}
}

# debian_packages ROOT VERSION IMAGE: prints the package and those of the same release that it needs: that of 7.3 is empty, and
# needs one with the kernel, one with its configuration and one with the modules.
debian_packages() {
	local release=${3#linux-image-}

	printf '%s=%s\n' "$3" "$2"
	apt_private "$1" apt-cache show "$3=$2" | sed -n '/^Depends:/s/[ ,]\+/\n/gp' |
		awk -v end="-$release" -v version="$2" '/^linux-/ && substr($0, length($0) - length(end) + 1) == end { print $0 "=" version }'
}

# debian_unpack OUT DEB...
debian_unpack() {
	local out=$1 deb m patterns=('./boot/*' './usr/lib/modules/*/vmlinuz' './usr/lib/modules/*/config')

	shift
	for m in "${boot_modules[@]}" netfs fscache 9pnet; do patterns+=("*/modules/*/$m.ko*"); done
	for m in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev; do patterns+=("*/modules/*/$m.ko*"); done
	rm -rf "$out.new" && mkdir -p "$out.new" || return
	for deb in "$@"; do
		# Not every pattern has a match: some modules are built in.
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$out.new" --wildcards "${patterns[@]}" 2>/dev/null || true
	done
	[ ! -d "$out.new/usr/lib" ] || mv "$out.new/usr/lib" "$out.new/lib" || return
	mv "$out.new"/boot/vmlinuz-* "$out.new"/lib/modules/*/vmlinuz "$out.new/bzImage" &&
		mv "$out.new"/boot/config-* "$out.new"/lib/modules/*/config "$out.new/config" &&
		rm -rf "$out.new/boot" "$out.new/usr" "$out" && mv "$out.new" "$out"
}

# debian_fetch_locked OUT [update]
debian_fetch_locked() {
	local out=$1 root found name packages

	[ ! -e "$out/bzImage" ] || [ "${2:-}" = update ] || return 0
	need_program apt-get apt-cache dpkg-deb tar xz
	root=$(apt_root deb "${apt_suites[@]}") ||
		unavailable "no package lists of ${apt_suites[*]}" "is the mirror reachable? try: apt-get update"
	found=$(debian_newest "$root")
	[ "$found" != "$(cat "$out/version" 2>/dev/null)" ] || return 0
	name=${found#* }
	[ -n "$name" ] || die "no linux-image-amd64 of $kernel_series in ${apt_suites[*]}" "qemu/vm --base names another"
	mapfile -t packages < <(debian_packages "$root" "${found% *}" "$name")
	rm -rf "$out.deb" && mkdir -p "$out.deb" || die "cannot write to $cache/kernel"
	(cd "$out.deb" && logged "$cache/log/debian-download.log" "downloading Debian's kernel $name" \
		apt_private "$root" apt-get download "${packages[@]}") || unavailable "could not download $name ${found% *}"
	debian_unpack "$out" "$out.deb"/*.deb || die "$name holds no kernel"
	printf '%s\n' "$found" >"$out/version"
	rm -rf "$out.deb"
}

# Takes a newer package than the one that is there, if one is.
debian_update() {
	local out=$cache/kernel/debian-$kernel_series

	[ ! -e "$out" ] || with_lock kernel-debian debian_fetch_locked "$out" update >&2
}

# debian_kernel: fetches Debian's kernel if need be and prints the folder.
debian_kernel() {
	local out=$cache/kernel/debian-$kernel_series

	with_lock kernel-debian debian_fetch_locked "$out" >&2
	printf '%s\n' "$out"
}

# image_release IMAGE: the release that a bzImage carries in its header, what uname -r will say; empty if it has none.
image_release() {
	local offset

	[ "$(dd if="$1" bs=1 skip=514 count=4 status=none | tr -d '\0')" = HdrS ] || return 0
	offset=$(od -An -j 526 -N 2 -t u2 "$1")
	dd if="$1" bs=1 skip=$((offset + 512)) count=128 status=none | tr '\0' ' ' | LC_ALL=C sed -n '1s/ .*//p'
}

# boot_module FOLDER OUT NAME: puts a module and, before it, those it depends on into OUT, numbered as they are to be loaded.
boot_module() {
	local folder=$1 out=$2 name=$3 file ko need

	[ -z "$(find "$out" -name "*-$name.ko")" ] || return 0
	file=$(find "$folder" -name "${name//_/[-_]}.ko*" -print -quit)
	[ -n "$file" ] || return 0
	ko=$out/.$name.ko
	case $file in
	*.xz) xz -dc "$file" >"$ko" || return ;;
	*.zst) zstd -dcq "$file" >"$ko" || return ;;
	*.gz) gzip -dc "$file" >"$ko" || return ;;
	*) cp "$file" "$ko" || return ;;
	esac
	for need in $(LC_ALL=C tr '\0' '\n' <"$ko" | LC_ALL=C sed -n 's/^depends=//p' | tr ',-' ' _'); do
		boot_module "$folder" "$out" "$need" || return
	done
	mv "$ko" "$out/$(printf '%02d' "$(find "$out" -name '[0-9]*.ko' | wc -l)")-$name.ko"
}

# boot_modules_for IMAGE OUT: nothing for a kernel that has no folder of modules beside it or on this machine.
boot_modules_for() {
	local image=$1 out=$2 release folder name

	release=$(image_release "$image")
	[ -n "$release" ] || return 0
	for folder in "$(dirname "$image")/lib/modules/$release" "$(dirname "$image")/../lib/modules/$release" "/lib/modules/$release"; do
		[ -d "$folder" ] || continue
		mkdir -p "$out" || return
		for name in "${boot_modules[@]}"; do
			boot_module "$folder" "$out" "$name" || return
		done
		return 0
	done
}
