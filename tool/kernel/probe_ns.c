// SPDX-License-Identifier: GPL-2.0-only
/* Probes: namespaces, and the network devices in them. */
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/netlink.h"
#include "kernel/probe.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

int probe_userns(void)
{
	return probe_call(unshare(CLONE_NEWUSER));
}

static int unshare_as_root(int flags)
{
	int r = probe_be_root();

	return r ? r : probe_call(unshare(flags));
}

int probe_cgroupns(void)
{
	return unshare_as_root(CLONE_NEWCGROUP);
}

int probe_timens(void)
{
	int r = unshare_as_root(CLONE_NEWTIME);

	return r ? r : probe_path("/proc/self/timens_offsets");
}

/* Leave a network namespace and come back to it by its descriptor. */
int probe_external_net_ns(void)
{
	int r = probe_be_root(), fd;

	if (r)
		return r;
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || unshare(CLONE_NEWNET))
		return -errno;
	r = probe_call(setns(fd, CLONE_NEWNET));
	/* From a user namespace of its own the probe may not return: it could leave. */
	return r == -EPERM && geteuid() ? 0 : r;
}

int probe_nsid(void)
{
	struct netlink_request req = {.head = {.nlmsg_type = RTM_GETNSID}};
	struct rtgenmsg msg = {.rtgen_family = AF_UNSPEC};
	int32_t fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	netlink_put(&req, &msg, sizeof(msg));
	netlink_put_attr(&req, NETNSA_FD, &fd, sizeof(fd));
	return netlink_ask(NETLINK_ROUTE, &req, NULL, 0);
}

static int new_netns(int32_t *ret_old)
{
	int r = probe_be_root();

	if (r)
		return r;
	*ret_old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret_old < 0 ? -errno : probe_call(unshare(CLONE_NEWNET));
}

/* Ask for the loopback device of a namespace by the id that it has been given here. */
int probe_link_nsid(void)
{
	struct netlink_request name = {
		.head = {.nlmsg_type = RTM_NEWNSID, .nlmsg_flags = NLM_F_ACK},
	};
	struct netlink_request ask = {.head = {.nlmsg_type = RTM_GETLINK}};
	struct rtgenmsg msg = {.rtgen_family = AF_UNSPEC};
	struct ifinfomsg link = {.ifi_index = 1};
	int32_t old, id = 5;
	int r = new_netns(&old);

	if (r)
		return r;
	/* Twice, so that the namespace with the id belongs to this probe as well. */
	close(old);
	r = new_netns(&old);
	if (r)
		return r;
	netlink_put(&name, &msg, sizeof(msg));
	netlink_put_attr(&name, NETNSA_FD, &old, sizeof(old));
	netlink_put_attr(&name, NETNSA_NSID, &id, sizeof(id));
	r = netlink_ask(NETLINK_ROUTE, &name, NULL, 0);
	if (r)
		return r;
	netlink_put(&ask, &link, sizeof(link));
	netlink_put_attr(&ask, IFLA_TARGET_NETNSID, &id, sizeof(id));
	return netlink_ask(NETLINK_ROUTE, &ask, NULL, 0);
}

/* The peer of a veth pair is the device that every kernel with namespaces can make. */
int probe_newifindex(void)
{
	struct netlink_request req = {
		.head = {.nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_CREATE | NLM_F_ACK}};
	struct netlink_request ask = {.head = {.nlmsg_type = RTM_GETLINK}};
	struct ifinfomsg link = {.ifi_index = 77};
	struct {
		struct nlattr info, kind;
		char name[8];
	} nested = {
		.info = {.nla_len = sizeof(nested), .nla_type = IFLA_LINKINFO},
		.kind = {.nla_len = NLA_HDRLEN + 5, .nla_type = IFLA_INFO_KIND},
		.name = "veth",
	};
	int32_t old;
	int r = new_netns(&old);

	if (r)
		return r;
	netlink_put(&req, &link, sizeof(link));
	netlink_put_attr(&req, IFLA_IFNAME, "probe", 6);
	netlink_put(&req, &nested, sizeof(nested));
	r = netlink_ask(NETLINK_ROUTE, &req, NULL, 0);
	if (r)
		return r;
	netlink_put(&ask, &link, sizeof(link));
	return netlink_ask(NETLINK_ROUTE, &ask, NULL, 0);
}

int probe_sk_ns(void)
{
	return probe_call(ioctl(socket(AF_UNIX, SOCK_STREAM, 0), SIOCGSKNS));
}

int probe_apparmor_stacking(void)
{
	return probe_path("/sys/kernel/security/apparmor/features/domain/stack");
}
