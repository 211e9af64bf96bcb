// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/cleanup.h"

void netlink_put(struct netlink_request *req, const void *data, size_t len)
{
	size_t at;

	if (!req->head.nlmsg_len)
		req->head.nlmsg_len = NLMSG_HDRLEN;
	at = NLMSG_ALIGN(req->head.nlmsg_len);
	if (at + len > sizeof(*req))
		return;
	memcpy((char *)req + at, data, len);
	req->head.nlmsg_len = at + len;
}

void netlink_put_attr(struct netlink_request *req, int type, const void *data, size_t len)
{
	struct nlattr attr = {.nla_len = NLA_HDRLEN + len, .nla_type = type};

	netlink_put(req, &attr, sizeof(attr));
	netlink_put(req, data, len);
}

int netlink_ask(int protocol, struct netlink_request *req, void *reply, size_t size)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	struct timeval patience = {.tv_sec = 2};
	_Alignas(struct nlmsghdr) char buf[8192];
	const struct nlmsghdr *got = (void *)buf;
	ssize_t n;
	int error;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	req->head.nlmsg_flags |= NLM_F_REQUEST;
	if (sendto(fd, req, req->head.nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < 0)
		return -errno;
	if (n < NLMSG_HDRLEN)
		return -EPROTO;
	if (got->nlmsg_type == NLMSG_ERROR || got->nlmsg_type == NLMSG_DONE) {
		if ((size_t)n < NLMSG_HDRLEN + sizeof(error))
			return got->nlmsg_type == NLMSG_DONE ? 0 : -EPROTO;
		memcpy(&error, NLMSG_DATA(got), sizeof(error));
		return error < 0 ? error : 0;
	}
	if (reply)
		memcpy(reply, buf, (size_t)n < size ? (size_t)n : size);
	return 0;
}
