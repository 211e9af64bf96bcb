/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tree of births: nodes in one large map value, changed under one lock.
 *
 * Functions named tree_*_locked run with the lock held, where the verifier allows no helper:
 * they touch nothing but map values that were looked up before.
 */
#ifndef CABA_TREE_H
#define CABA_TREE_H

const volatile __u32 max_slots = 1024;

struct lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lock);
} caba_lock SEC(".maps");

/*
 * One value, so that a pointer looked up before the lock is taken reaches every node.
 * User space sets its size to max_slots nodes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 1024 * sizeof(struct caba_node));
} caba_nodes SEC(".maps");

struct tree {
	struct caba_head *head;
	void *base;
	struct lock *lock;
};

static __always_inline bool tree_get(struct tree *t)
{
	__u32 zero = 0;

	t->base = bpf_map_lookup_elem(&caba_nodes, &zero);
	t->lock = bpf_map_lookup_elem(&caba_lock, &zero);
	t->head = t->base;
	return t->base && t->lock;
}

/* Readers map the array: an odd or changed seq tells them to look again. */
static __always_inline void tree_lock(struct tree *t)
{
	bpf_spin_lock(&t->lock->lock);
	__sync_fetch_and_add(&t->head->seq, 1);
}

static __always_inline void tree_unlock(struct tree *t)
{
	__sync_fetch_and_add(&t->head->seq, 1);
	bpf_spin_unlock(&t->lock->lock);
}

static __always_inline struct caba_node *tree_node(struct tree *t, __u32 i)
{
	if (i < CABA_FIRST_NODE || i >= max_slots)
		return NULL;
	return t->base + (__u64)i * sizeof(struct caba_node);
}

static __always_inline __u32 tree_alloc_locked(struct tree *t)
{
	struct caba_head *h = t->head;
	struct caba_node *n;
	__u32 i = h->free;

	n = tree_node(t, i);
	if (n) {
		h->free = n->up;
	} else {
		i = h->top;
		if (!tree_node(t, i)) {
			h->lost_limit++;
			return 0;
		}
		h->top = i + 1;
	}
	h->used++;
	if (h->used > h->peak)
		h->peak = h->used;
	return i;
}

static __always_inline void tree_free_locked(struct tree *t, struct caba_node *n, __u32 i)
{
	n->state = CABA_FREE;
	n->id = 0;
	n->up = t->head->free;
	t->head->free = i;
	t->head->used--;
}

/* A new node below @up (0: none). Its index, or 0 when the limit is reached. */
static __always_inline __u32 tree_add_locked(struct tree *t, const struct caba_rec *rec, __u32 up,
					     __u8 edge)
{
	struct caba_node *n, *u = tree_node(t, up);
	__u32 i = tree_alloc_locked(t);

	n = tree_node(t, i);
	if (!n)
		return 0;
	n->up = u ? up : 0;
	n->kids = 0;
	n->kids_xor = 0;
	n->state = CABA_ALIVE;
	n->edge = edge;
	n->skipped = 0;
	n->id = rec->id;
	n->start = rec->start;
	n->tgid = rec->tgid;
	n->nr = 0;
	n->ns = 0;
	__builtin_memset(n->comm, 0, sizeof(n->comm));
	if (u) {
		u->kids++;
		u->kids_xor ^= i;
	}
	return i;
}

/* Put node @i, which has no node above it, below @up. */
static __always_inline void tree_link_locked(struct tree *t, __u32 i, __u32 up, __u8 edge)
{
	struct caba_node *n = tree_node(t, i), *u = tree_node(t, up);

	if (!n || !u || n->up || i == up)
		return;
	n->up = up;
	n->edge = edge;
	u->kids++;
	u->kids_xor ^= i;
}

/* Take node @i out of the line between its only child and the node above. */
static __always_inline void tree_splice_locked(struct tree *t, struct caba_node *n, __u32 i)
{
	struct caba_node *c, *u = tree_node(t, n->up);
	__u32 ci = n->kids_xor, skipped;

	c = tree_node(t, ci);
	if (!c)
		return;
	c->up = u ? n->up : 0;
	c->edge |= n->edge;
	skipped = c->skipped + n->skipped + 1;
	c->skipped = skipped > 65535 ? 65535 : skipped;
	if (u)
		u->kids_xor ^= i ^ ci;
	tree_free_locked(t, n, i);
}

/* Process @id, of node @i, was reaped. False: the node is another's by now. */
static __always_inline bool tree_gone_locked(struct tree *t, __u32 i, __u64 id)
{
	struct caba_node *n = tree_node(t, i), *u;
	__u32 up;

	if (!n || n->id != id || n->state == CABA_GONE)
		return false;
	n->state = CABA_GONE;
	if (n->kids == 1) {
		tree_splice_locked(t, n, i);
		return true;
	}
	if (n->kids)
		return true;

	up = n->up;
	u = tree_node(t, up);
	tree_free_locked(t, n, i);
	if (!u)
		return true;
	u->kids--;
	u->kids_xor ^= i;
	/* The node above was a joint only as long as it had two branches. */
	if (u->state == CABA_GONE && u->kids == 1)
		tree_splice_locked(t, u, up);
	return true;
}

#endif
