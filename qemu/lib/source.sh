# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The kernel source: Debian's linux-source package, kept until asked for a newer one so that builds stay warm.
#
#   $cache/source/VERSION/linux.tar.xz   as packaged
#   $cache/source/VERSION/linux/         unpacked, never built in
#   $cache/source/VERSION/linux.git/     one commit of it, made when a tree is first asked for
#   $cache/source/VERSION/files/         single files taken out for those who need no more
#   $cache/source/current-SERIES         names the version in use

source_package() {
	printf 'linux-source-%s\n' "$kernel_series"
}

source_version() {
	[ -r "$cache/source/current-$kernel_series" ] || return 1
	cat "$cache/source/current-$kernel_series"
}

source_dir() {
	printf '%s/source/%s\n' "$cache" "$(source_version)"
}

# Takes the newest version that any of the suites has.
source_newest() {
	apt_private "$1" apt-cache show "$(source_package)" | awk '/^Version:/ { print $2 }' | {
		local best='' v

		while read -r v; do
			if [ -z "$best" ] || dpkg --compare-versions "$v" gt "$best"; then best=$v; fi
		done
		printf '%s\n' "$best"
	}
}

source_download() {
	local root version dir package

	need_program apt-get apt-cache dpkg-deb tar xz
	package=$(source_package)
	root=$(apt_root deb "${apt_suites[@]}") ||
		unavailable "no package lists of ${apt_suites[*]}" "is the mirror reachable? try: apt-get update"
	version=$(source_newest "$root")
	[ -n "$version" ] || die "no package $package in ${apt_suites[*]}" "qemu/vm --base names another"
	dir=$cache/source/$version
	if [ ! -e "$dir/linux.tar.xz" ]; then
		rm -rf "$dir.new" && mkdir -p "$dir.new/deb" || die "cannot write to $cache/source"
		(cd "$dir.new/deb" && logged "$cache/log/source-download.log" "downloading $package $version" \
			apt_private "$root" apt-get download "$package=$version") || unavailable "could not download $package $version"
		dpkg-deb --fsys-tarfile "$dir.new"/deb/*.deb |
			tar -x -C "$dir.new" --strip-components=3 --wildcards './usr/src/*.tar.xz' ||
			die "$package $version holds no ./usr/src/*.tar.xz"
		mv "$dir.new"/*.tar.xz "$dir.new/linux.tar.xz" && rm -rf "$dir.new/deb" "$dir" && mv "$dir.new" "$dir" ||
			die "cannot write to $dir"
	fi
	printf '%s\n' "$version" >"$cache/source/current-$kernel_series"
	say "kernel source $package $version"
}

source_unpack() {
	local dir

	dir=$(source_dir)
	[ ! -e "$dir/linux/Makefile" ] || return 0
	rm -rf "$dir/linux.new" && mkdir -p "$dir/linux.new"
	logged "$cache/log/source-unpack.log" "unpacking the kernel source" \
		tar -x -f "$dir/linux.tar.xz" -C "$dir/linux.new" --strip-components=1 || die "could not unpack $dir/linux.tar.xz"
	mv "$dir/linux.new" "$dir/linux" || die "cannot write to $dir"
}

source_ensure_tarball() {
	if source_version >/dev/null && [ -e "$(source_dir)/linux.tar.xz" ]; then return 0; fi
	source_download
}

source_ensure() {
	source_ensure_tarball && source_unpack
}

# source_file PATH: prints the name of a copy of one file of the source; does not unpack the rest.
source_file() {
	local path=$1 dir out

	with_lock source source_ensure_tarball >&2
	dir=$(source_dir)
	if [ -e "$dir/linux/Makefile" ]; then
		[ -f "$dir/linux/$path" ] || die "the kernel source has no file $path"
		printf '%s\n' "$dir/linux/$path"
		return
	fi
	out=$dir/files/$path
	if [ ! -e "$out" ]; then
		mkdir -p "$dir/files"
		tar -x -f "$dir/linux.tar.xz" -C "$dir/files" --strip-components=1 --occurrence=1 --wildcards --no-wildcards-match-slash "*/$path" 2>/dev/null ||
			die "the kernel source has no file $path"
	fi
	printf '%s\n' "$out"
}

# The folder to give to gcc's -I for tests that use the kernel's test harness.
source_selftest_headers() {
	local f path=''

	for f in kselftest.h kselftest_harness.h; do
		path=$(source_file "tools/testing/selftests/$f") || exit
	done
	dirname "$path"
}

# Takes the newest package; the kernels of the old one stay in the cache under their own keys.
source_update() {
	source_download && source_unpack
}
