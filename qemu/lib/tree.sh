# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A git tree of the kernel with the series applied, and the way back from its commits to kernel-patches/.
#
# Each commit carries a git note that names its patch file. git carries notes along when commits are amended or rebased
# (notes.rewriteRef), so that a patch keeps its name whatever happens to its subject or its place.

tree_notes=refs/notes/stasis

tree_default() {
	printf '%s/tree/linux-%s\n' "$cache" "$kernel_series"
}

# The unpacked source as a bare repository of one commit, which trees are cloned from.
tree_base() {
	local dir git

	dir=$(source_dir)
	git=$dir/linux.git
	[ ! -e "$git/HEAD" ] || return 0
	rm -rf "$git.new"
	git init -q --bare -b stock "$git.new" || return
	git --git-dir="$git.new" --work-tree="$dir/linux" -c core.autocrlf=false -c gc.auto=0 add -A -f . || return
	GIT_AUTHOR_DATE='1970-01-01T00:00:00Z' GIT_COMMITTER_DATE='1970-01-01T00:00:00Z' \
		git --git-dir="$git.new" --work-tree="$dir/linux" -c user.name=stasis -c user.email=stasis@localhost \
		-c gc.auto=0 commit -q -m "Linux $(source_version), Debian's source" || return
	mv "$git.new" "$git"
}

# git with an identity even where the user has none, for commits whose author comes from the patch anyway.
tree_git() {
	local dir=$1

	shift
	if git -C "$dir" config user.email >/dev/null; then
		git -C "$dir" "$@"
	else
		git -C "$dir" -c user.name=stasis -c user.email=stasis@localhost "$@"
	fi
}

tree_make() {
	local dir=$1 patch

	need_program git
	[ ! -e "$dir" ] || die "$dir is already there" "work in it, or give another folder, or remove it (its commits are lost if not refreshed)"
	with_lock source source_ensure
	with_lock source logged "$cache/log/tree-base.log" "making a repository of the source" tree_base || exit
	mkdir -p "$(dirname "$dir")"
	# Links to the objects, not --shared: the cache may be removed without the tree.
	git clone -q --origin stock "$(source_dir)/linux.git" "$dir"
	git -C "$dir" checkout -q -b stasis
	git -C "$dir" tag stock-base
	git -C "$dir" config notes.rewriteRef "$tree_notes"
	git -C "$dir" config stasis.base "$kernel_series"
	while read -r patch; do
		say "applying ${patch#"$patch_dir"/}"
		tree_git "$dir" am -q --committer-date-is-author-date "$patch" ||
			die "$patch does not apply" "the tree is in the middle of git am: $dir"
		tree_git "$dir" notes --ref="$tree_notes" add -f -m "${patch#"$patch_dir"/}" HEAD
	done < <(kernel_patches patched)
	printf '%s\n' "$dir"
}

# Prints the file name a commit is to be written to, relative to kernel-patches/BASE: the note's, else that of the patch
# with the same subject, else a new one in the folder of the patch before it.
tree_patch_name() {
	local dir=$1 commit=$2 before=$3 name subject folder number

	if name=$(git -C "$dir" notes --ref="$tree_notes" show "$commit" 2>/dev/null); then
		printf '%s\n' "$name"
		return
	fi
	subject=$(git -C "$dir" show -s --format=%s "$commit")
	while read -r name; do
		if grep -m1 '^Subject: ' "$patch_dir/$name" 2>/dev/null | grep -qF "$subject"; then
			printf '%s\n' "$name"
			return
		fi
	done < <(tree_series_names)
	folder=$(dirname "${before:-.}")
	number=$(find "$patch_dir/$folder" -maxdepth 1 -name '[0-9][0-9][0-9][0-9]-*.patch' -printf '%f\n' 2>/dev/null |
		sort | tail -n 1 | cut -c1-4)
	name=$(printf '%04d-%s.patch' "$((10#${number:-0} + 1))" "$(git -C "$dir" show -s --format=%f "$commit" | cut -c1-52)")
	[ "$folder" = . ] || name=$folder/$name
	printf '%s\n' "$name"
}

tree_series_names() {
	[ ! -e "$patch_dir/series" ] || sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$patch_dir/series"
}

# tree_write_series NAMES-FILE: the new order, with the comments that stood above each name kept above it.
tree_write_series() {
	awk -v old="$patch_dir/series" '
		BEGIN {
			while ((getline line < old) > 0) {
				if (line ~ /^[ \t]*(#|$)/) { above = above line "\n"; continue }
				name = line; sub(/[ \t]*(#.*)?$/, "", name)
				comment[name] = above; full[name] = line; above = ""
			}
		}
		{ printf "%s%s\n", comment[$0], ($0 in full) ? full[$0] : $0 }
		END { printf "%s", above }' "$1"
}

# tree_refresh_commits DIR: prints the commits that become patches. All patches without a commit are removed, so it refuses a
# tree where HEAD is not the end of the user's work, or not all of it.
tree_refresh_commits() {
	local dir=$1 found

	git -C "$dir" symbolic-ref -q HEAD >/dev/null || die "$dir is on no branch" "go to that of the patches: git checkout stasis"
	[ ! -e "$(git -C "$dir" rev-parse --absolute-git-dir)/BISECT_LOG" ] || die "$dir is in the middle of git bisect" "finish it: git bisect reset"
	git -C "$dir" merge-base --is-ancestor stock-base HEAD || die "the branch of $dir does not come from stock-base" "go to that of the patches: git checkout stasis"
	found=$(git -C "$dir" rev-list --reverse stock-base..HEAD) || die "git could not list the commits of $dir"
	[ -n "$found" ] || die "$dir has no commits after stock-base" "go to the branch of the patches: git checkout stasis"
	[ -z "$(git -C "$dir" rev-list --merges stock-base..HEAD)" ] || die "$dir has merges after stock-base" "a series is a line of commits: git rebase stock-base"
	printf '%s\n' "$found"
}

tree_refresh() {
	local dir=$1 base commits scratch commit name before='' count=0 changed=0

	[ -e "$dir/.git" ] || die "$dir is not a git tree" "make one: qemu/vm tree $dir"
	git -C "$dir" rev-parse -q --verify 'stock-base^{commit}' >/dev/null ||
		die "$dir has no tag stock-base" "it must have been made by: qemu/vm tree"
	base=$(git -C "$dir" config stasis.base) || base=$kernel_series
	[ "$base" = "$kernel_series" ] || die "$dir is a tree of $base, not of $kernel_series" "run: qemu/vm --base $base refresh $dir"
	[ ! -e "$(git -C "$dir" rev-parse --absolute-git-dir)/rebase-apply" ] || die "$dir is in the middle of git am or rebase" "finish it first"
	[ ! -e "$(git -C "$dir" rev-parse --absolute-git-dir)/rebase-merge" ] || die "$dir is in the middle of a rebase" "finish it first"
	[ -z "$(git -C "$dir" status --porcelain --untracked-files=no)" ] || die "$dir has changes that are not committed" "commit or stash them"
	commits=$(tree_refresh_commits "$dir") || exit
	scratch=$(mktemp -d)
	mkdir -p "$patch_dir"
	: >"$scratch/names"
	while read -r commit; do
		name=$(tree_patch_name "$dir" "$commit" "$before")
		if grep -qxF "$name" "$scratch/names"; then die "two commits of $dir would be written to $name" "give one another note: git notes --ref=$tree_notes edit COMMIT"; fi
		git -C "$dir" -c diff.noprefix=false format-patch -1 --stdout --zero-commit --no-signature --no-renames --full-index \
			--no-numbered "$commit" >"$scratch/patch"
		if ! cmp -s "$scratch/patch" "$patch_dir/$name"; then
			changed=$((changed + 1))
			say "writing $name"
		fi
		put "$scratch/patch" "$patch_dir/$name"
		printf '%s\n' "$name" >>"$scratch/names"
		tree_git "$dir" notes --ref="$tree_notes" add -f -m "$name" "$commit"
		before=$name
		count=$((count + 1))
	done <<<"$commits"
	while read -r name; do
		if ! grep -qxF "$name" "$scratch/names" && [ -e "$patch_dir/$name" ]; then
			say "removing $name: no commit of the tree stands for it"
			rm -f "$patch_dir/$name"
			changed=$((changed + 1))
		fi
	done < <(tree_series_names)
	tree_write_series "$scratch/names" >"$scratch/series"
	put "$scratch/series" "$patch_dir/series"
	rm -rf "$scratch"
	say "$count patches in $patch_dir, $changed of them changed"
}
