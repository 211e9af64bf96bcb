// SPDX-License-Identifier: GPL-2.0-only
#include "cli/table.h"

#include <string.h>

#define AT(field)      .at = offsetof(struct options, field)
#define NEEDS(what)    .argument = ARG_REQUIRED, .value = what
#define MAY_TAKE(what) .argument = ARG_OPTIONAL, .value = what
/* The value of an option that is refused is never stored. */
#define LATER .later = true

const char *const option_groups[N_GROUPS] = {
	[GROUP_GENERAL] = "General",
	[GROUP_TREE] = "Tasks",
	[GROUP_IMAGES] = "Images",
	[GROUP_MEMORY] = "Memory",
	[GROUP_FILES] = "Files",
	[GROUP_EXTERNAL] = "Outside resources",
	[GROUP_SYSTEM] = "Namespaces, cgroups, security, network",
	[GROUP_CHECK] = "Check and plan",
	[GROUP_REMOTE] = "Page server and migration",
};

const struct option_row option_rows[] = {
	/* --- general --- */
	{"help", 'h', OPT_HELP, .on = CMD_ANY, .group = GROUP_GENERAL,
	 .help = "Print help, for one command if one is named."},
	{"version", 'V', OPT_VERSION, .on = CMD_ANY, .group = GROUP_GENERAL,
	 .help = "Print the version."},
	{"verbosity", 'v', OPT_VERBOSITY, MAY_TAKE("LEVEL"), .group = GROUP_GENERAL, .on = CMD_ANY,
	 AT(verbosity), .preset = "2",
	 .help = "How much is logged: 0 nothing, 1 errors, 2 warnings, 3 what is done, 4 every "
		 "detail. Each v without a number adds one: -vv, -v4, --verbosity=4."},
	{"log-file", 'o', OPT_PATH, NEEDS("FILE"), .group = GROUP_GENERAL, .on = CMD_BOTH,
	 AT(log_file), .preset = "stderr",
	 .help = "Write the log to FILE, in the work folder unless absolute; - is stdout."},
	{"log-pid", 0, OPT_FLAG, .group = GROUP_GENERAL, .on = CMD_BOTH, .acts = CMD_RESTORE,
	 AT(log_pid),
	 .help = "Write what concerns one restored task to a log of its own, FILE.PID beside "
		 "the log file."},
	{"config", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_GENERAL, .on = CMD_ANY, AT(config),
	 .help = "Read options from FILE in place of the default configuration files."},
	{"no-default-config", 0, OPT_MARK, .group = GROUP_GENERAL, .on = CMD_ANY,
	 AT(no_default_config), .help = "Do not read the default configuration files."},
	{"action-script", 0, OPT_LIST, NEEDS("SCRIPT"), .group = GROUP_GENERAL, .on = CMD_BOTH,
	 .acts = CMD_DUMPS | CMD_RESTORE, AT(action_scripts),
	 .help = "Run SCRIPT at every stage; it finds the stage in CRTOOLS_SCRIPT_ACTION. May be "
		 "given several times."},
	{"pidfile", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_GENERAL, .on = CMD_RESTORES,
	 .acts = CMD_RESTORE, AT(pidfile),
	 .help = "Write the pid of the root task to FILE once it exists, in the work folder "
		 "unless absolute. A file that is there already is an error."},
	{"status-fd", 0, OPT_FD, NEEDS("FD"), .group = GROUP_GENERAL, .on = CMD_BOTH,
	 .acts = CMD_DUMPS | CMD_RESTORE, AT(status_fd),
	 .help = "Write one zero byte to FD and close it when the checkpoint is complete, or when "
		 "the restored tasks run."},
	{"display-stats", 0, OPT_FLAG, .group = GROUP_GENERAL, .on = CMD_BOTH,
	 .acts = CMD_DUMPS | CMD_RESTORE, AT(display_stats),
	 .help = "Print the figures of stats-dump or stats-restore at the end."},
	{"timeout", 0, OPT_NUMBER, NEEDS("SECONDS"), .group = GROUP_GENERAL, .on = CMD_BOTH,
	 .acts = CMD_DUMPS, AT(timeout), .preset = "10",
	 .help = "Give up when the tasks cannot be stopped within this time; 0 waits for ever."},
	{"unprivileged", 0, OPT_FLAG, .group = GROUP_GENERAL, .on = CMD_ANY, AT(unprivileged),
	 .help = "Run as another user than root, and accept what cannot be done then."},
	{"json", 0, OPT_MARK, .group = GROUP_GENERAL, .on = CMD_CHECK | CMD_PLAN, AT(json),
	 .help = "Print JSON instead of a table."},
	{"man", 0, OPT_MARK, .group = GROUP_GENERAL, .on = CMD_HELP, AT(man),
	 .help = "Print the manual page's list of options, as roff."},
	{"completion", 0, OPT_MARK, .group = GROUP_GENERAL, .on = CMD_HELP, AT(completion),
	 .help = "Print the completion for bash."},
	{"close", 0, OPT_FD, NEEDS("FD"), .group = GROUP_GENERAL, .on = CMD_BOTH, LATER,
	 .help = "Close FD before anything else."},
	{"libdir", 'L', OPT_DIR, NEEDS("DIR"), .group = GROUP_GENERAL, .on = CMD_BOTH, LATER,
	 .help = "Where plugins are."},
	{"deprecated", 0, OPT_FLAG, .group = GROUP_GENERAL, .on = CMD_ANY, LATER,
	 .help = "Allow what is deprecated."},

	/* --- tasks --- */
	{"tree", 't', OPT_PID, NEEDS("PID"), .group = GROUP_TREE, .on = CMD_BOTH, .acts = CMD_DUMPS,
	 AT(tree), .help = "Checkpoint PID and all its descendants."},
	{"leave-running", 'R', OPT_MARK, .group = GROUP_TREE, .on = CMD_DUMPS, AT(leave_running),
	 .help = "Let the tasks run on after the dump instead of killing them."},
	{"leave-stopped", 's', OPT_MARK, .group = GROUP_TREE, .on = CMD_BOTH, AT(leave_stopped),
	 .help = "Leave the tasks stopped after the dump or the restore."},
	{"shell-job", 'j', OPT_FLAG, .group = GROUP_TREE, .on = CMD_BOTH, AT(shell_job),
	 .help = "The tree is a job of a shell: its session and terminal lie outside. Restore "
		 "gives it those of stasis itself. Needed by restore if used by dump."},
	{"restore-detached", 'd', OPT_FLAG, .group = GROUP_TREE, .on = CMD_RESTORES,
	 AT(restore_detached), .help = "End when the tasks run, instead of waiting for them."},
	{"restore-sibling", 'S', OPT_FLAG, .group = GROUP_TREE, .on = CMD_RESTORES,
	 AT(restore_sibling),
	 .help = "Make the root task a child of the caller of stasis; needs --restore-detached."},
	{"exec-cmd", 0, OPT_MARK, .group = GROUP_TREE, .on = CMD_RESTORE, AT(exec),
	 .help = "After the restore become the command that follows --, which then is the parent "
		 "of the root task."},
	{"freeze-cgroup", 0, OPT_DIR, NEEDS("DIR"), .group = GROUP_TREE, .on = CMD_DUMPS, LATER,
	 .help = "Stop the tasks by the freezer of a cgroup."},

	/* --- images --- */
	{"images-dir", 'D', OPT_DIR, NEEDS("DIR"), .group = GROUP_IMAGES,
	 .on = CMD_BOTH | CMD_OTHER, AT(images_dir), .preset = "the current folder",
	 .help = "The folder of the checkpoint."},
	{"work-dir", 'W', OPT_DIR, NEEDS("DIR"), .group = GROUP_IMAGES, .on = CMD_BOTH | CMD_OTHER,
	 AT(work_dir), .preset = "the images folder",
	 .help = "The folder of log, pid file and statistics."},
	{"prev-images-dir", 0, OPT_DIR, NEEDS("DIR"), .group = GROUP_IMAGES, .on = CMD_DUMPS,
	 AT(prev_images), LATER,
	 .help = "Store only the memory that changed since the checkpoint in DIR, a path "
		 "relative to the images folder."},
	{"stream", 0, OPT_FLAG, .group = GROUP_IMAGES, .on = CMD_BOTH, LATER,
	 .help = "Exchange images with criu-image-streamer."},
	{"compress", 0, OPT_MARK, .group = GROUP_IMAGES, .on = CMD_DUMPS, LATER,
	 .help = "Compress memory pages."},
	{"encrypt", 0, OPT_MARK, .group = GROUP_IMAGES, .on = CMD_DUMPS, LATER,
	 .help = "Encrypt the images."},
	{"key-map", 0, OPT_TEXT, NEEDS("ID:FILE"), .group = GROUP_IMAGES, .on = CMD_BOTH, LATER,
	 .help = "The file of a key."},

	/* --- memory --- */
	{"track-mem", 0, OPT_FLAG, .group = GROUP_MEMORY, .on = CMD_DUMPS, AT(track_mem), LATER,
	 .help = "Let the kernel record which pages change from now on, for the next dump."},
	{"live", 0, OPT_FLAG, .group = GROUP_MEMORY, .on = CMD_DUMP, AT(live), LATER,
	 .help = "With --leave-running: clone the tasks and read the copies, so that they stand "
		 "still only for a fork."},
	{"cow-aware", 0, OPT_FLAG, .group = GROUP_MEMORY, .on = CMD_DUMP, AT(cow_aware), LATER,
	 .help = "Store pages that tasks share by copy-on-write once."},
	{"pre-dump-mode", 0, OPT_CHOICE, NEEDS("MODE"), .group = GROUP_MEMORY, .on = CMD_PRE_DUMP,
	 LATER, .choices = "splice|read", .help = "How a pre-dump reads memory."},
	{"auto-dedup", 0, OPT_FLAG, .group = GROUP_MEMORY, .on = CMD_BOTH, AT(auto_dedup), LATER,
	 .help = "Punch pages out of older checkpoints that newer ones replace."},
	{"lazy-pages", 0, OPT_MARK, .group = GROUP_MEMORY, .on = CMD_BOTH | CMD_OTHER, LATER,
	 .help = "Bring memory in when it is first touched."},

	/* --- files --- */
	{"file-locks", 'l', OPT_FLAG, .group = GROUP_FILES, .on = CMD_BOTH, AT(file_locks),
	 .help = "Dump and restore file locks; safe only if nobody outside the tree waits for "
		 "them."},
	{"link-remap", 0, OPT_FLAG, .group = GROUP_FILES, .on = CMD_BOTH, AT(link_remap),
	 .help = "Allow giving deleted files a temporary name beside the old one."},
	{"ghost-limit", 0, OPT_SIZE, NEEDS("SIZE"), .group = GROUP_FILES, .on = CMD_BOTH,
	 .acts = CMD_DUMPS, AT(ghost_limit), .preset = "1M",
	 .help = "The most that a deleted file may use on its disk (not its length) to be carried in "
		 "the images; K, M and G are understood."},
	{"ghost-fiemap", 0, OPT_FLAG, .group = GROUP_FILES, .on = CMD_DUMPS, AT(ghost_fiemap),
	 .help = "Find the data of sparse deleted files by FIEMAP instead of SEEK_DATA."},
	{"file-validation", 0, OPT_CHOICE, NEEDS("MODE"), .group = GROUP_FILES, .on = CMD_BOTH,
	 AT(file_validation), .preset = "buildid",
	 .choices = "buildid|checksum-full|checksum|checksum-period|filesize",
	 .help = "How restore makes sure that a file is the one that was dumped, besides by its size: "
		 "by its build-ID where it has one, by a checksum of all of it, of its first N bytes, "
		 "or of every Nth byte (--checksum-parameter). Dump records it, with the build-ID. "
		 "Restore compares what was recorded, or less if a weaker MODE is given to it."},
	{"checksum-parameter", 0, OPT_NUMBER, NEEDS("N"), .group = GROUP_FILES, .on = CMD_BOTH,
	 .acts = CMD_DUMPS, AT(checksum_parameter), .preset = "1024",
	 .help = "N of --file-validation checksum and checksum-period."},
	{"skip-file-rwx-check", 0, OPT_FLAG, .group = GROUP_FILES, .on = CMD_BOTH,
	 .acts = CMD_RESTORES, AT(skip_file_rwx_check),
	 .help = "Do not compare the permissions of files at restore."},
	{"evasive-devices", 0, OPT_FLAG, .group = GROUP_FILES, .on = CMD_BOTH, LATER,
	 .help = "Take any path to a device if the one it was opened by is gone."},
	{"force-irmap", 0, OPT_FLAG, .group = GROUP_FILES, .on = CMD_DUMPS, LATER,
	 .help = "Search for the names of watched files."},
	{"irmap-scan-path", 0, OPT_LIST, NEEDS("PATH"), .group = GROUP_FILES, .on = CMD_DUMPS,
	 LATER, .help = "Where to search for the names of watched files."},

	/* --- outside resources --- */
	{"external", 0, OPT_LIST, NEEDS("RESOURCE"), .group = GROUP_EXTERNAL, .on = CMD_BOTH,
	 .acts = CMD_DUMPS, AT(external),
	 .help = "A file or a terminal that is left out of the checkpoint, as what it is and what is "
		 "in it belongs to others; at restore --inherit-fd brings one. "
		 "file[MNT_ID:INODE]: the mount as /proc/PID/fdinfo/N has it, the inode's number; "
		 "tty[RDEV:DEV]: st_rdev and st_dev of stat(2). All numbers are hexadecimal. Other "
		 "resources of criu's (mnt, dev, unix, net, pid, veth, macvlan) are not supported yet. "
		 "May be given several times."},
	{"inherit-fd", 0, OPT_LIST, NEEDS("fd[N]:RESOURCE"), .group = GROUP_EXTERNAL,
	 .on = CMD_RESTORES, AT(inherit_fd),
	 .help = "Open descriptor N of stasis takes the place of RESOURCE in all tasks: pipe:[INODE] "
		 "as /proc/PID/fd has shown it (each end of it is opened anew); tty[RDEV:DEV] and "
		 "file[MNT_ID:INODE] as they were given to --external; /memfd:NAME; or the path of a "
		 "file without its first slash. What is of no use is reported. May be given several "
		 "times."},
	{"ext-unix-sk", 'x', OPT_LIST, MAY_TAKE("INODES"), .group = GROUP_EXTERNAL, .on = CMD_BOTH,
	 LATER, .help = "Allow UNIX sockets whose other end is outside."},
	{"ext-mount-map", 'M', OPT_LIST, NEEDS("KEY:VALUE"), .group = GROUP_EXTERNAL,
	 .on = CMD_BOTH, LATER, .help = "A mount that lies outside."},
	{"enable-external-sharing", 0, OPT_MARK, .group = GROUP_EXTERNAL, .on = CMD_BOTH, LATER,
	 .help = "Allow outside mounts that are shared."},
	{"enable-external-masters", 0, OPT_MARK, .group = GROUP_EXTERNAL, .on = CMD_BOTH, LATER,
	 .help = "Allow outside mounts that have masters."},
	{"veth-pair", 0, OPT_LIST, NEEDS("IN=OUT"), .group = GROUP_EXTERNAL, .on = CMD_RESTORES,
	 LATER, .help = "Names of the two ends of a veth device."},

	/* --- namespaces, cgroups, security, network --- */
	{"root", 'r', OPT_DIR, NEEDS("PATH"), .group = GROUP_SYSTEM, .on = CMD_BOTH, AT(root),
	 LATER, .help = "The root folder of a restored mount namespace."},
	{"join-ns", 'J', OPT_LIST, NEEDS("NS:PID|FILE"), .group = GROUP_SYSTEM, .on = CMD_RESTORES,
	 LATER, .help = "Restore into a namespace that exists."},
	{"empty-ns", 0, OPT_LIST, NEEDS("NS"), .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Restore a namespace without its contents."},
	{"mntns-compat-mode", 0, OPT_FLAG, .group = GROUP_SYSTEM, .on = CMD_RESTORES, LATER,
	 .help = "Build mount namespaces the old way."},
	{"skip-mnt", 0, OPT_LIST, NEEDS("PATH"), .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Leave a mount out."},
	{"enable-fs", 0, OPT_LIST, NEEDS("NAMES"), .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "File systems that may be mounted as found."},
	{"manage-cgroups", 0, OPT_CHOICE, MAY_TAKE("MODE"), .group = GROUP_SYSTEM, .on = CMD_BOTH,
	 AT(manage_cgroups), .choices = "ignore|!none|!props|!soft|!full|!strict", .alone = "soft",
	 .help = "What becomes of cgroups: ignore leaves the restored tasks in those of stasis."},
	{"cgroup-root", 0, OPT_LIST, NEEDS("[CTL:]PATH"), .group = GROUP_SYSTEM, .on = CMD_BOTH,
	 LATER, .help = "Another root for a cgroup controller."},
	{"cgroup-props", 0, OPT_TEXT, NEEDS("SPEC"), .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Properties of cgroups to save."},
	{"cgroup-props-file", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_SYSTEM, .on = CMD_BOTH,
	 LATER, .help = "The same out of a file."},
	{"cgroup-dump-controller", 0, OPT_LIST, NEEDS("NAME"), .group = GROUP_SYSTEM,
	 .on = CMD_BOTH, LATER, .help = "Save this controller only."},
	{"cgroup-yard", 0, OPT_DIR, NEEDS("DIR"), .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "A folder with mounted cgroups."},
	{"cpu-cap", 0, OPT_CPU_CAPS, MAY_TAKE("CAPS"), .group = GROUP_SYSTEM, .on = CMD_BOTH,
	 AT(cpu_cap), .acts = CMD_DUMPS, .preset = "fpu,ins", .choices = "none|!fpu|!ins|!cpu|!all",
	 .alone = "all",
	 .help = "Which properties of the CPU restore insists on; ^CAP takes one away."},
	{"lsm-profile", 0, OPT_TEXT, NEEDS("TYPE:NAME"), .group = GROUP_SYSTEM, .on = CMD_RESTORES,
	 AT(lsm_profile), LATER, .help = "The security profile of the restored tasks."},
	{"lsm-mount-context", 0, OPT_TEXT, NEEDS("CONTEXT"), .group = GROUP_SYSTEM,
	 .on = CMD_RESTORES, LATER, .help = "The security context of restored mounts."},
	{"network-lock", 0, OPT_CHOICE, NEEDS("METHOD"), .group = GROUP_SYSTEM, .on = CMD_BOTH,
	 .acts = CMD_DUMPS, AT(network_lock), .preset = "skip",
	 .choices = "skip|!iptables|!nftables",
	 .help = "How packets are held back between dump and restore; there are no connections "
		 "to lock yet, so skip is what happens."},
	{"tcp-established", 0, OPT_FLAG, .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Dump and restore established TCP connections."},
	{"tcp-close", 0, OPT_FLAG, .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Restore TCP connections in closed state."},
	{"skip-in-flight", 0, OPT_FLAG, .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Leave out TCP connections that are being made."},
	{"weak-sysctls", 0, OPT_FLAG, .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Leave out sysctls that the kernel lacks."},
	{"allow-uprobes", 0, OPT_FLAG, .group = GROUP_SYSTEM, .on = CMD_BOTH, LATER,
	 .help = "Allow tasks that have a mapping of uprobes."},

	/* --- check and plan --- */
	{"feature", 0, OPT_LIST, NEEDS("NAME"), .group = GROUP_CHECK, .on = CMD_CHECK, AT(features),
	 .help = "Check this feature only; list prints the names. May be given several times."},
	{"extra", 0, OPT_FLAG, .group = GROUP_CHECK, .on = CMD_CHECK, AT(check_extra),
	 .help = "Fail also if a feature is missing that only some programs need."},
	{"experimental", 0, OPT_FLAG, .group = GROUP_CHECK, .on = CMD_CHECK, AT(check_experimental),
	 .help = "Fail also if one of the proposed kernel interfaces is missing."},
	{"all", 0, OPT_MARK, .group = GROUP_CHECK, .on = CMD_CHECK, AT(check_all),
	 .help = "--extra and --experimental together."},
	{"features", 0, OPT_TEXT, NEEDS("LIST"), .group = GROUP_CHECK, .on = CMD_PLAN | CMD_RESTORE,
	 AT(features_set),
	 .help = "Plan for a kernel with these features: stock, patched, or names separated by "
		 "commas, +NAME and -NAME change what this kernel has. With --dry-run."},
	{"dry-run", 0, OPT_MARK, .group = GROUP_CHECK, .on = CMD_RESTORE, AT(dry_run),
	 .help = "Print the steps of the restore instead of doing them."},

	/* --- page server and migration --- */
	{"page-server", 0, OPT_FLAG, .group = GROUP_REMOTE, .on = CMD_DUMPS, LATER,
	 .help = "Send pages to a page server."},
	{"address", 0, OPT_TEXT, NEEDS("ADDRESS"), .group = GROUP_REMOTE,
	 .on = CMD_BOTH | CMD_OTHER, LATER, .help = "The page server's address."},
	{"port", 0, OPT_NUMBER, NEEDS("PORT"), .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER,
	 LATER, .help = "The page server's port."},
	{"ps-socket", 0, OPT_FD, NEEDS("FD"), .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER,
	 LATER, .help = "A connected socket to the page server."},
	{"daemon", 0, OPT_FLAG, .group = GROUP_REMOTE, .on = CMD_OTHER, LATER,
	 .help = "Serve in the background."},
	{"tls", 0, OPT_FLAG, .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER, LATER,
	 .help = "Secure the connection by TLS."},
	{"tls-cacert", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_REMOTE,
	 .on = CMD_BOTH | CMD_OTHER, LATER, .help = "Certificate of the authority."},
	{"tls-cacrl", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER,
	 LATER, .help = "Revoked certificates."},
	{"tls-cert", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER,
	 LATER, .help = "Own certificate."},
	{"tls-key", 0, OPT_PATH, NEEDS("FILE"), .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER,
	 LATER, .help = "Own key."},
	{"tls-no-cn-verify", 0, OPT_MARK, .group = GROUP_REMOTE, .on = CMD_BOTH | CMD_OTHER, LATER,
	 .help = "Do not compare the name in the certificate."},
};

const size_t n_option_rows = sizeof(option_rows) / sizeof(*option_rows);

const struct option_row *option_find(const char *name, size_t len)
{
	const struct option_row *row;

	for (row = option_rows; row < option_rows + n_option_rows; row++)
		if (strlen(row->name) == len && !memcmp(row->name, name, len))
			return row;
	return NULL;
}

const struct option_row *option_find_letter(char letter)
{
	const struct option_row *row;

	for (row = option_rows; row < option_rows + n_option_rows; row++)
		if (row->letter && row->letter == letter)
			return row;
	return NULL;
}
