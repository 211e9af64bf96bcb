// SPDX-License-Identifier: GPL-2.0-only
/* Probes: sockets and packet filters. */
/* Before the kernel's headers, which then leave out what these have. */
#include <netinet/in.h>

#include <linux/if.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/netlink.h"
#include "kernel/probe.h"
#include "kernel/uapi.h"

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef TCP_REPAIR
#define TCP_REPAIR 19
#endif

int probe_unix_diag(void)
{
	struct netlink_request req = {
		.head = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_DUMP}};
	struct unix_diag_req ask = {.sdiag_family = AF_UNIX, .udiag_states = -1};

	netlink_put(&req, &ask, sizeof(ask));
	return netlink_ask(NETLINK_SOCK_DIAG, &req, NULL, 0);
}

static int inet_dump(int protocol)
{
	struct netlink_request req = {
		.head = {.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_DUMP}};
	struct inet_diag_req_v2 ask = {
		.sdiag_family = AF_INET, .sdiag_protocol = protocol, .idiag_states = -1};

	netlink_put(&req, &ask, sizeof(ask));
	return netlink_ask(NETLINK_SOCK_DIAG, &req, NULL, 0);
}

int probe_inet_diag(void)
{
	int r = inet_dump(IPPROTO_TCP);

	return r ? r : inet_dump(IPPROTO_UDP);
}

int probe_net_diag_raw(void)
{
	return inet_dump(IPPROTO_RAW);
}

int probe_sk_unix_file(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), r;

	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/.stasis-probe.%d", getpid());
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		return -errno;
	r = probe_call(ioctl(fd, SIOCUNIXFILE, 0));
	unlink(name.sun_path);
	return r;
}

static int set_option(int family, int type, int level, int option, int value)
{
	int fd = socket(family, type, 0);

	return fd < 0 ? -errno : probe_call(setsockopt(fd, level, option, &value, sizeof(value)));
}

int probe_sockopt_buf_lock(void)
{
	return set_option(AF_UNIX, SOCK_STREAM, SOL_SOCKET, SO_BUF_LOCK, 1);
}

int probe_ipv6_freebind(void)
{
	return set_option(AF_INET6, SOCK_STREAM, IPPROTO_IPV6, IPV6_FREEBIND, 1);
}

int probe_tcp_repair(void)
{
	return set_option(AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_REPAIR, 1);
}

/* A connection over loopback with one direction closed. */
int probe_tcp_half_closed(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int door = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	socklen_t len = sizeof(to);

	if (door < 0 || fd < 0 || bind(door, (struct sockaddr *)&to, sizeof(to)) ||
	    listen(door, 1) || getsockname(door, (struct sockaddr *)&to, &len) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) || shutdown(fd, SHUT_WR))
		return -errno;
	return probe_call(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
}

int probe_nftables(void)
{
	struct netlink_request req = {
		.head = {.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN},
	};
	struct nfgenmsg msg = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};

	netlink_put(&req, &msg, sizeof(msg));
	return netlink_ask(NETLINK_NETFILTER, &req, NULL, 0);
}

int probe_network_lock_nftables(void)
{
	return probe_nftables();
}

int probe_has_ipt_legacy(void)
{
	struct ipt_getinfo info = {.name = "filter"};
	socklen_t len = sizeof(info);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	return fd < 0 ? -errno
		      : probe_call(getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len));
}
