/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FEATURE(id, name, need, used for, lost without it); the probe of FEATURE_X is
 * probe_x(), in one of kernel/probe_*.c. Included where a list of features is made.
 */
/* --- needed by every dump and restore --- */
FEATURE(pidfd, "pidfd_open", ALWAYS, "naming tasks without races", "everything")
FEATURE(pidfd_getfd, "pidfd_getfd", ALWAYS, "taking open files from tasks and giving them back",
	"everything")
FEATURE(kcmp, "kcmp", ALWAYS, "finding what tasks share", "everything")
FEATURE(children, "children", ALWAYS, "finding the tasks of a tree", "everything")
FEATURE(map_files, "map_files", ALWAYS, "mappings of files, deleted ones too", "file mappings")
FEATURE(mem_read, "mem_read", ALWAYS, "reading memory of tasks", "everything")
FEATURE(ptrace_seize, "ptrace_seize", ALWAYS, "stopping tasks without a trace", "everything")
FEATURE(xstate, "xstate", ALWAYS, "vector and other extended registers", "everything")
FEATURE(peeksiginfo, "peeksiginfo", ALWAYS, "pending signals", "pending signals")
FEATURE(sigmask, "sigmask", ALWAYS, "signal masks", "signal masks")
FEATURE(clone3_set_tid, "clone3_set_tid", ALWAYS, "restoring tasks with their pids", "restore")
FEATURE(set_mm_map, "set_mm_map", ALWAYS, "fields of the address space: heap, arguments, auxv",
	"restore")
FEATURE(memfd, "memfd_create", ALWAYS, "memory shared between stasis and its stub", "everything")

/* --- tasks --- */
FEATURE(get_rseq_conf, "get_rseq_conf", SOME, "restartable sequences, which glibc registers",
	"programs that use rseq")
FEATURE(seccomp_suspend, "seccomp_suspend", SOME, "system calls in tasks with seccomp filters",
	"tasks with seccomp filters")
FEATURE(seccomp_filters, "seccomp_filters", SOME, "reading seccomp filters",
	"tasks with seccomp filters")
FEATURE(user_dispatch, "syscall_user_dispatch", SOME, "syscall user dispatch",
	"programs such as Wine")
FEATURE(timer_cr_ids, "timer_cr_ids", SOME, "restoring POSIX timers with their ids at once",
	"ids are reached by making and deleting timers: slow for large ids")
FEATURE(pidfd_thread, "pidfd_thread", SOME, "pidfds of single threads", "open pidfds of threads")
FEATURE(pidfd_store, "pidfd_store", SOME, "telling reused pids between two dumps",
	"incremental dumps compare start times instead")
FEATURE(ns_pid, "ns_pid", SOME, "pids in nested pid namespaces", "nested pid namespaces")
FEATURE(ns_pid_ioctl, "ns_pid_ioctl", SOME, "translating pids between namespaces",
	"NSpid lines of /proc are parsed")
FEATURE(shadow_stack, "shadow_stack", SOME, "shadow stacks of user space",
	"programs with shadow stacks are refused")
FEATURE(breakpoints, "breakpoints", SOME, "stopping a task at an address by hardware",
	"single steps are used, slower")
FEATURE(cap_checkpoint_restore, "cap_checkpoint_restore", SOME, "running without being root",
	"root is needed")
FEATURE(loginuid, "loginuid", SOME, "the audit login uid", "it is not restored")

/* --- memory --- */
FEATURE(procmap_query, "procmap_query", SOME, "mappings in binary form, with build-IDs",
	"/proc/PID/maps is parsed, slower; build-IDs are read from files")
FEATURE(pagemap_scan, "pagemap_scan", SOME, "finding the pages that must be saved",
	"/proc/PID/pagemap is read page by page")
FEATURE(guard_pages, "guard_pages", SOME, "guard regions (MADV_GUARD_INSTALL)", "none can exist")
FEATURE(pagemap_scan_guard_pages, "pagemap_scan_guard_pages", SOME, "seeing guard regions",
	"tasks with guard regions")
FEATURE(secretmem, "memfd_secret", SOME, "secret memory", "restoring secret memory")
FEATURE(memfd_exec, "memfd_exec", SOME, "the executable seal of memfds", "none can exist")
FEATURE(memfd_hugetlb, "memfd_hugetlb", SOME, "memfds of huge pages", "such memfds")
FEATURE(populate_write, "populate_write", SOME, "filling memory fast at restore",
	"restore of large memory takes longer")
FEATURE(mem_dirty_track, "mem_dirty_track", SOME, "incremental dumps by soft-dirty bits",
	"write protection is used if uffd_wp_async is there")
FEATURE(uffd, "uffd", SOME, "userfaultfd", "incremental dumps without soft-dirty")
FEATURE(uffd_noncoop, "uffd-noncoop", SOME, "userfaultfd across fork, unmap and remap",
	"memory on demand")
FEATURE(uffd_wp_async, "uffd_wp_async", SOME, "incremental dumps by asynchronous write protection",
	"incremental dumps need soft-dirty")
FEATURE(pfn, "pagemap_pfn", SOME, "finding pages shared by copy-on-write, as root",
	"dump --cow-aware, unless cow_ids is there")
FEATURE(can_map_vdso, "can_map_vdso", SOME, "mapping a vDSO where it was", "it is moved instead")
FEATURE(mem_policy, "mempolicy", SOME, "NUMA policies of mappings", "they are not restored")
FEATURE(aio_remap, "aio_remap", SOME, "rings of asynchronous I/O", "programs that use them")

/* --- files and mounts --- */
FEATURE(mnt_id, "mnt_id", SOME, "the mount of an open file", "files below overmounted places")
FEATURE(statmount, "statmount", SOME, "mounts in binary form", "mountinfo is parsed")
FEATURE(mntns_ioctl, "mntns_ioctl", SOME, "mounts of other mount namespaces",
	"/proc/PID/mountinfo is parsed")
FEATURE(openat2, "openat2", SOME, "opening paths without leaving a root", "nested mount namespaces")
FEATURE(move_mount_set_group, "move_mount_set_group", SOME, "sharing groups of mounts",
	"shared mounts")
FEATURE(fdinfo_lock, "fdinfo_lock", SOME, "file locks of a descriptor", "file locks")
FEATURE(kcmp_epoll, "kcmp_epoll", SOME, "what an epoll descriptor watches",
	"epoll descriptors with duplicates")
FEATURE(timerfd, "timerfd", SOME, "ticks of timerfds", "timerfds that have run out")
FEATURE(fd_reopen, "fd_reopen", SOME, "reopening files by /proc/PID/fd", "FIFOs, deleted files")
FEATURE(overlayfs_maps, "overlayfs_maps", CRIU, "mappings of files on overlayfs",
	"such mappings have another path")
FEATURE(autofs, "autofs", CRIU, "autofs mounts", "autofs mounts")
FEATURE(tun, "tun", CRIU, "tun and tap devices", "such devices")
FEATURE(tun_ns, "tun_ns", CRIU, "tun devices of other network namespaces", "such devices")
FEATURE(compat_cr, "compat_cr", CRIU, "32-bit tasks", "32-bit tasks")

/* --- namespaces --- */
FEATURE(userns, "userns", SOME, "user namespaces", "tasks in user namespaces")
FEATURE(cgroupns, "cgroupns", SOME, "cgroup namespaces", "tasks in cgroup namespaces")
FEATURE(timens, "timens", SOME, "time namespaces", "clocks go on where the machine's stand")
FEATURE(external_net_ns, "external_net_ns", SOME, "network namespaces made elsewhere",
	"such namespaces")
FEATURE(nsid, "nsid", SOME, "ids of peer network namespaces", "veth pairs across namespaces")
FEATURE(link_nsid, "link_nsid", SOME, "devices whose peer is in another namespace",
	"veth pairs across namespaces")
FEATURE(newifindex, "newifindex", SOME, "network devices with their index", "network namespaces")
FEATURE(apparmor_stacking, "apparmor_stacking", CRIU, "stacked AppArmor profiles",
	"containers with profiles of their own")

/* --- sockets --- */
FEATURE(unix_diag, "unix_diag", SOME, "queues and peers of UNIX sockets", "UNIX sockets")
FEATURE(inet_diag, "inet_diag", SOME, "TCP and UDP sockets", "internet sockets")
FEATURE(net_diag_raw, "net_diag_raw", SOME, "raw sockets", "raw sockets")
FEATURE(sk_unix_file, "sk_unix_file", SOME, "the file behind a UNIX socket's name",
	"UNIX sockets whose name was moved")
FEATURE(sk_ns, "sk_ns", SOME, "the network namespace of a socket", "sockets of other namespaces")
FEATURE(sockopt_buf_lock, "sockopt_buf_lock", SOME, "locked buffer sizes of sockets", "such sizes")
FEATURE(tcp_repair, "tcp_repair", SOME, "TCP connections", "TCP connections")
FEATURE(tcp_half_closed, "tcp_half_closed", SOME, "TCP connections that are half closed",
	"such connections")
FEATURE(ipv6_freebind, "ipv6_freebind", SOME, "IPv6 addresses that are gone", "such sockets")
FEATURE(nftables, "nftables", CRIU, "rules of nftables", "network namespaces with rules")
FEATURE(network_lock_nftables, "network_lock_nftables", CRIU, "holding packets back by nftables",
	"TCP connections, unless iptables is there")
FEATURE(has_ipt_legacy, "has_ipt_legacy", CRIU, "iptables of the old kind",
	"network namespaces with such rules")

/* --- BPF --- */
FEATURE(btf, "btf", SOME, "programs that fit any kernel (CO-RE)", "the monitor, BPF iterators")
FEATURE(bpf_iter, "bpf_iter", SOME, "listing open files of all tasks at once",
	"kcmp is asked for each pair in question, slower for many files")
FEATURE(bpf_task_storage, "bpf_task_storage", SOME, "the process-tree monitor", "stasis monitor")
FEATURE(bpf_events, "bpf_events", SOME, "the monitor: births, execs and deaths", "stasis monitor")
FEATURE(bpf_functions, "bpf_functions", SOME, "the monitor: sessions, groups, parents at once",
	"system call tracepoints do it, at a cost for every system call")
FEATURE(bpf_syscalls, "bpf_syscalls", SOME, "the monitor where functions cannot be traced",
	"there, changes are noticed at a process's next fork, exec or exit")

/* --- proposed --- */
FEATURE(cpuid_faulting, "cpuid_faulting", SOME, "CPUID override (a property of the CPU)",
	"cpuid_override")
FEATURE(attach_session, "attach_session", PROPOSED,
	"entering a session and group that exist already",
	"history is replayed with helper tasks; some trees are refused")
FEATURE(early_pidns, "early_pidns", PROPOSED, "a pid namespace that another task made",
	"one level at a time; refused where owners differ")
FEATURE(cow_scan, "cow_scan", PROPOSED, "pages that may be shared by copy-on-write",
	"page frame numbers are read, root only")
FEATURE(cow_ids, "cow_ids", PROPOSED, "identities of such pages",
	"page frame numbers are read, root only")
FEATURE(kcmp_cow, "kcmp_cow", PROPOSED, "comparing two pages", "page frame numbers, root only")
FEATURE(cpuid_override, "cpuid_override", PROPOSED, "restoring on another CPU",
	"refused where the CPU lacks what the program saw")
