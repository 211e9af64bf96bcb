# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A private apt root: packages of other Debian suites out of the machine's own mirror, with the signatures checked by
# the machine's own Debian keyring, and without a change to the machine's apt configuration.

# Debian releases that carry what the workshop needs, newest first.
apt_suites=(trixie trixie-backports bookworm-backports)
apt_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The machine's Debian mirror: the repository that most of its package indexes come from, apart from those that hold
# other suites than a plain mirror does.
apt_mirror() {
	local uri codename

	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -v -e security -e backports | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }') || true
	if [ -z "$uri" ]; then
		# Without package lists, which images for containers leave out, apt still says where they would come from.
		codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
		uri=$(apt-get update --print-uris -o Debug::NoLocking=1 2>/dev/null |
			sed -n "s,^'\(.*\)/dists/\($codename\|stable\|testing\|sid\)/InRelease'.*,\1,p" | sed -n 1p)
	fi
	[ -n "$uri" ] || unavailable "apt knows no Debian mirror" "run apt-get update, then look at: apt-get indextargets"
	printf '%s\n' "$uri"
}

# apt_private ROOT COMMAND...: apt-get or apt-cache with everything it reads and writes under ROOT.
apt_private() {
	local root=$1 program=$2

	shift 2
	"$program" -q \
		-o Dir::Etc::SourceList="$root/sources.list" -o Dir::Etc::SourceParts="$root/none" \
		-o Dir::Etc::PreferencesParts="$root/none" -o Dir::Etc::Preferences="$root/none/preferences" \
		-o Dir::State="$root/state" -o Dir::State::Lists="$root/lists" -o Dir::State::Status="$root/status" \
		-o Dir::Cache="$root/cache" -o Dir::Cache::Archives="$root/archives" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
}

# apt_root TYPE SUITE...: makes the private root of these suites ready and prints its folder. TYPE is deb or deb-src.
apt_root() {
	local type=$1 root suite mirror

	shift
	root=$cache/apt/$type-$(printf '%s\n' "$@" | hash_of)
	mirror=$(apt_mirror) || return
	[ -r "$apt_keyring" ] || die "no keyring $apt_keyring" "install debian-archive-keyring"
	mkdir -p "$root"/{none,state,lists/partial,cache,archives/partial}
	: >"$root/status"
	for suite in "$@"; do
		printf '%s [signed-by=%s] %s %s main\n' "$type" "$apt_keyring" "$mirror" "$suite"
	done >"$root/sources.list"
	logged "$cache/log/apt-update.log" "reading the package lists of: $*" \
		apt_private "$root" apt-get update -o APT::Update::Error-Mode=any || return
	printf '%s\n' "$root"
}
