/* SPDX-License-Identifier: GPL-2.0-only */
/* One request over netlink and its answer (netlink(7)). */
#ifndef STASIS_KERNEL_NETLINK_H
#define STASIS_KERNEL_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>

struct netlink_request {
	struct nlmsghdr head;
	char body[512];
};

/* Append @len bytes to the message, padded; an attribute of that type. */
void netlink_put(struct netlink_request *req, const void *data, size_t len);
void netlink_put_attr(struct netlink_request *req, int type, const void *data, size_t len);

/*
 * Send to @protocol and wait for the first answer: 0 when it is data, an
 * acknowledgement or the end of an empty dump, else a negative errno. The
 * answer's first @size bytes go to @reply if that is not NULL.
 */
int netlink_ask(int protocol, struct netlink_request *req, void *reply, size_t size);

#endif
