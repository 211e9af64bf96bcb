// SPDX-License-Identifier: GPL-2.0-only
/* --display-stats: the figures of the statistics image, in criu's words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/session.h"
#include "image/image.h"
#include "proto/stasis.pb-c.h"

static void show_pages(const char *what, uint64_t n)
{
	printf("%s: %" PRIu64 " (0x%" PRIx64 ")\n", what, n, n);
}

static void show_time(const char *what, uint32_t us)
{
	printf("%s: %" PRIu32 " us\n", what, us);
}

static void show_dump(const DumpStatsEntry *s)
{
	puts("Displaying dump stats:");
	show_time("Freezing time", s->freezing_time);
	show_time("Frozen time", s->frozen_time);
	show_time("Memory dump time", s->memdump_time);
	show_time("Memory write time", s->memwrite_time);
	if (s->has_irmap_resolve)
		show_time("IRMAP resolve time", s->irmap_resolve);
	show_pages("Memory pages scanned", s->pages_scanned);
	show_pages("Memory pages skipped from parent", s->pages_skipped_parent);
	show_pages("Memory pages written", s->pages_written);
	show_pages("Lazy memory pages", s->pages_lazy);
}

static void show_restore(const RestoreStatsEntry *s)
{
	puts("Displaying restore stats:");
	show_pages("Pages compared", s->pages_compared);
	show_pages("Pages skipped COW", s->pages_skipped_cow);
	if (s->has_pages_restored)
		show_pages("Pages restored", s->pages_restored);
	show_time("Restore time", s->restore_time);
	show_time("Forking time", s->forking_time);
}

int show_stats(struct run *run, bool restore)
{
	ProtobufCMessage *msg;
	StatsEntry *stats;
	int r = image_get(run->work_dirfd, restore ? IMG_STATS_RESTORE : IMG_STATS_DUMP, 0, false,
			  &run->err, &msg);

	if (r)
		return r;
	stats = (StatsEntry *)msg;
	if (stats->dump && !restore)
		show_dump(stats->dump);
	if (stats->restore && restore)
		show_restore(stats->restore);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}
