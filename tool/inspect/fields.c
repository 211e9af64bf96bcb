// SPDX-License-Identifier: GPL-2.0-only
#include "inspect/fields.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stasis.pb-c.h"

/* Spellings are crit's: scripts compare them. */

static const struct value_name prot_names[] = {
	{"PROT_READ", 1}, {"PROT_WRITE", 2}, {"PROT_EXEC", 4}, {}};

static const struct value_name map_names[] = {{"MAP_SHARED", 0x1},	{"MAP_PRIVATE", 0x2},
					      {"MAP_DROPPABLE", 0x8},	{"MAP_ANON", 0x20},
					      {"MAP_GROWSDOWN", 0x100}, {}};

static const struct value_name vma_names[] = {
	{"VMA_AREA_REGULAR", 1 << 0},  {"VMA_AREA_STACK", 1 << 1},   {"VMA_AREA_VSYSCALL", 1 << 2},
	{"VMA_AREA_VDSO", 1 << 3},     {"VMA_AREA_HEAP", 1 << 5},    {"VMA_FILE_PRIVATE", 1 << 6},
	{"VMA_FILE_SHARED", 1 << 7},   {"VMA_ANON_SHARED", 1 << 8},  {"VMA_ANON_PRIVATE", 1 << 9},
	{"VMA_AREA_SYSVIPC", 1 << 10}, {"VMA_AREA_SOCKET", 1 << 11}, {"VMA_AREA_VVAR", 1 << 12},
	{"VMA_AREA_AIORING", 1 << 13}, {"VMA_AREA_MEMFD", 1 << 14},  {"VMA_AREA_SHSTK", 1 << 15},
	{"VMA_AREA_UPROBES", 1 << 17}, {"VMA_UNSUPP", 1u << 31},     {}};

static const struct value_name open_names[] = {{"O_WRONLY", 01},
					       {"O_RDWR", 02},
					       {"O_CREAT", 0100},
					       {"O_EXCL", 0200},
					       {"O_NOCTTY", 0400},
					       {"O_TRUNC", 01000},
					       {"O_APPEND", 02000},
					       {"O_NONBLOCK", 04000},
					       {"O_DSYNC", 010000},
					       {"FASYNC", 020000},
					       {"O_DIRECT", 040000},
					       {"O_LARGEFILE", 0100000},
					       {"O_DIRECTORY", 0200000},
					       {"O_NOFOLLOW", 0400000},
					       {"O_NOATIME", 01000000},
					       {"O_CLOEXEC", 02000000},
					       {}};

static const struct value_name page_names[] = {
	{"PE_PARENT", 1}, {"PE_LAZY", 2}, {"PE_PRESENT", 4}, {}};

static const struct value_name seal_names[] = {{"F_SEAL_SEAL", 1},	    {"F_SEAL_SHRINK", 2},
					       {"F_SEAL_GROW", 4},	    {"F_SEAL_WRITE", 8},
					       {"F_SEAL_FUTURE_WRITE", 16}, {}};

/* crit 4.2 has 3 and 6 the other way round than CRIU; what it prints is what it reads. */
static const struct value_name state_names[] = {{"Alive", 1}, {"Zombie", 3}, {"Stopped", 6}, {}};

static const struct value_name family_names[] = {{"UNIX", 1},	  {"INET", 2},	  {"INET6", 10},
						 {"NETLINK", 16}, {"PACKET", 17}, {}};

static const struct value_name type_names[] = {{"STREAM", 1},	 {"DGRAM", 2},	 {"RAW", 3},
					       {"SEQPACKET", 5}, {"PACKET", 10}, {}};

static const struct value_name state_of_socket_names[] = {{"ESTABLISHED", 1},
							  {"SYN_SENT", 2},
							  {"SYN_RECV", 3},
							  {"FIN_WAIT1", 4},
							  {"FIN_WAIT2", 5},
							  {"TIME_WAIT", 6},
							  {"CLOSE", 7},
							  {"CLOSE_WAIT", 8},
							  {"LAST_ACK", 9},
							  {"LISTEN", 10},
							  {}};

static const struct value_name protocol_names[] = {
	{"IP", 0}, {"TCP", 6}, {"UDP", 17}, {"UDPLITE", 136}, {}};

static const struct row {
	const ProtobufCMessageDescriptor *message;
	const char *field;
	struct field_style style;
} rows[] = {
/* clang-format off */
#define ROW(_message, _field, _form, _names) \
	{ &_message##__descriptor, #_field, { FORM_##_form, _names } },
	ROW(bpfmap_file_entry, flags, FLAGS, open_names)
	ROW(fanotify_file_entry, evflags, HEX, NULL)
	ROW(fanotify_file_entry, faflags, HEX, NULL)
	ROW(fanotify_file_entry, flags, HEX, NULL)
	ROW(fanotify_mark_entry, ignored_mask, HEX, NULL)
	ROW(fanotify_mark_entry, mask, HEX, NULL)
	ROW(fanotify_mark_entry, mflags, HEX, NULL)
	ROW(fanotify_mark_entry, s_dev, DEV, NULL)
	ROW(ghost_file_entry, dev, DEV, NULL)
	ROW(ghost_file_entry, rdev, STAT_DEV, NULL)
	ROW(inet_sk_entry, dst_addr, ADDRESS, NULL)
	ROW(inet_sk_entry, family, NAME, family_names)
	ROW(inet_sk_entry, flags, HEX, NULL)
	ROW(inet_sk_entry, proto, NAME, protocol_names)
	ROW(inet_sk_entry, src_addr, ADDRESS, NULL)
	ROW(inet_sk_entry, state, NAME, state_of_socket_names)
	ROW(inet_sk_entry, type, NAME, type_names)
	ROW(inotify_file_entry, flags, HEX, NULL)
	ROW(inotify_wd_entry, ignored_mask, HEX, NULL)
	ROW(inotify_wd_entry, mask, HEX, NULL)
	ROW(inotify_wd_entry, s_dev, DEV, NULL)
	ROW(irmap_cache_entry, dev, STAT_DEV, NULL)
	ROW(memfd_file_entry, flags, FLAGS, open_names)
	ROW(memfd_inode_entry, seals, FLAGS, seal_names)
	ROW(memfd_secret_file_entry, flags, FLAGS, open_names)
	ROW(mm_entry, mm_arg_end, HEX, NULL)
	ROW(mm_entry, mm_arg_start, HEX, NULL)
	ROW(mm_entry, mm_brk, HEX, NULL)
	ROW(mm_entry, mm_end_code, HEX, NULL)
	ROW(mm_entry, mm_end_data, HEX, NULL)
	ROW(mm_entry, mm_env_end, HEX, NULL)
	ROW(mm_entry, mm_env_start, HEX, NULL)
	ROW(mm_entry, mm_start_brk, HEX, NULL)
	ROW(mm_entry, mm_start_code, HEX, NULL)
	ROW(mm_entry, mm_start_data, HEX, NULL)
	ROW(mm_entry, mm_start_stack, HEX, NULL)
	ROW(mnt_entry, flags, HEX, NULL)
	ROW(mnt_entry, root_dev, DEV, NULL)
	ROW(mnt_entry, sb_flags, HEX, NULL)
	ROW(net_device_entry, flags, HEX, NULL)
	ROW(netlink_sk_entry, flags, HEX, NULL)
	ROW(packet_sock_entry, flags, HEX, NULL)
	ROW(pagemap_entry, flags, FLAGS, page_names)
	ROW(pagemap_entry, vaddr, HEX, NULL)
	ROW(pipe_entry, flags, HEX, NULL)
	ROW(reg_file_entry, flags, FLAGS, open_names)
	ROW(sa_entry, flags, HEX, NULL)
	ROW(sa_entry, mask, HEX, NULL)
	ROW(sa_entry, mask_extended, HEX, NULL)
	ROW(sa_entry, restorer, HEX, NULL)
	ROW(sa_entry, sigaction, HEX, NULL)
	ROW(signalfd_entry, flags, HEX, NULL)
	ROW(signalfd_entry, sigmask, HEX, NULL)
	ROW(sit_entry, local, ADDRESS, NULL)
	ROW(sit_entry, rd_prefix, ADDRESS, NULL)
	ROW(sit_entry, relay_prefix, ADDRESS, NULL)
	ROW(sit_entry, remote, ADDRESS, NULL)
	ROW(task_core_entry, blk_sigset, HEX, NULL)
	ROW(task_core_entry, blk_sigset_extended, HEX, NULL)
	ROW(task_core_entry, membarrier_registration_mask, HEX, NULL)
	ROW(task_core_entry, task_state, NAME, state_names)
	ROW(tcp_stream_entry, opt_mask, HEX, NULL)
	ROW(thread_info_x86, clear_tid_addr, HEX, NULL)
	ROW(thread_info_x86, gpregs, HEX, NULL)
	ROW(timerfd_entry, flags, HEX, NULL)
	ROW(timerfd_entry, settime_flags, HEX, NULL)
	ROW(tty_file_entry, flags, HEX, NULL)
	ROW(tun_link_entry, flags, HEX, NULL)
	ROW(unix_sk_entry, flags, HEX, NULL)
	ROW(unix_sk_entry, name, UNIX_NAME, NULL)
	ROW(unix_sk_entry, state, NAME, state_of_socket_names)
	ROW(unix_sk_entry, type, NAME, type_names)
	ROW(unix_sk_entry, uflags, HEX, NULL)
	ROW(user_x86_cet_entry, cet, HEX, NULL)
	ROW(user_x86_cet_entry, ssp, HEX, NULL)
	ROW(vma_entry, end, HEX, NULL)
	ROW(vma_entry, fdflags, HEX, NULL)
	ROW(vma_entry, flags, FLAGS, map_names)
	ROW(vma_entry, madv, HEX, NULL)
	ROW(vma_entry, prot, FLAGS, prot_names)
	ROW(vma_entry, start, HEX, NULL)
	ROW(vma_entry, status, FLAGS, vma_names)
/* clang-format on */
#undef ROW
};

struct field_style field_style(const ProtobufCMessageDescriptor *desc,
			       const ProtobufCFieldDescriptor *field, struct field_style inherited)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].message == desc && !strcmp(rows[i].field, field->name))
			return rows[i].style;
	return inherited;
}

static void flags_to_text(const struct value_name *names, uint64_t value, char text[FIELD_TEXT_MAX])
{
	size_t len = 0;

	text[0] = 0;
	for (; names->name; names++) {
		if (!(value & names->value))
			continue;
		len += snprintf(text + len, FIELD_TEXT_MAX - len, "%s%s", len ? " | " : "",
				names->name);
		value &= ~(uint64_t)names->value;
	}
	if (value)
		snprintf(text + len, FIELD_TEXT_MAX - len, "%s0x%" PRIx64, len ? " | " : "", value);
}

bool field_to_text(struct field_style style, uint64_t value, char text[FIELD_TEXT_MAX])
{
	unsigned int major, minor;

	switch (style.form) {
	case FORM_HEX:
		snprintf(text, FIELD_TEXT_MAX, "0x%" PRIx64, value);
		return true;
	case FORM_FLAGS:
		flags_to_text(style.names, value, text);
		return true;
	case FORM_NAME:
		for (const struct value_name *n = style.names; n->name; n++)
			if (n->value == value) {
				snprintf(text, FIELD_TEXT_MAX, "%s", n->name);
				return true;
			}
		return false;
	case FORM_DEV:
		major = value >> 20;
		minor = value & 0xfffff;
		break;
	case FORM_STAT_DEV:
		major = value >> 8 & 0xfff;
		minor = (value & 0xff) | (value >> 12 & 0xfff00);
		break;
	default:
		return false;
	}
	snprintf(text, FIELD_TEXT_MAX, "%u:%u", major, minor);
	return true;
}

void field_show(const ProtobufCMessageDescriptor *desc, const char *field, uint64_t value,
		char text[FIELD_TEXT_MAX])
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(desc,
											    field);

	if (!field_to_text(field_style(desc, f, (struct field_style){}), value, text))
		snprintf(text, FIELD_TEXT_MAX, "%" PRIu64, value);
}

static bool number_from_text(const char *text, bool *negative, uint64_t *value)
{
	const char *digits = text;
	char *end;

	*negative = *digits == '-';
	if (*negative)
		digits++;
	/* strtoull() would take signs, blanks and, for "010", another base than people think. */
	if (!isdigit((unsigned char)digits[0]) ||
	    (digits[0] == '0' && isdigit((unsigned char)digits[1])))
		return false;
	errno = 0;
	*value = strtoull(digits, &end, 0);
	return !errno && !*end;
}

static bool name_from_text(const struct value_name *names, const char *text, uint64_t *value)
{
	bool negative;

	for (; names->name; names++)
		if (!strcmp(names->name, text)) {
			*value = names->value;
			return true;
		}
	return number_from_text(text, &negative, value) && !negative;
}

static bool flags_from_text(const struct value_name *names, const char *text, uint64_t *value)
{
	char copy[FIELD_TEXT_MAX], *next = copy, *word, *end;
	uint64_t bit;

	*value = 0;
	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	if (!copy[strspn(copy, " ")])
		return true;
	while ((word = strsep(&next, "|"))) {
		word += strspn(word, " ");
		for (end = word + strlen(word); end > word && end[-1] == ' ';)
			*--end = 0;
		if (!name_from_text(names, word, &bit))
			return false;
		*value |= bit;
	}
	return true;
}

static bool dev_from_text(enum field_form form, const char *text, uint64_t *value)
{
	unsigned int major, minor;
	int used = 0;

	if (sscanf(text, "%u:%u%n", &major, &minor, &used) != 2 || text[used] || major > 0xfff ||
	    minor > 0xfffff)
		return false;
	if (form == FORM_DEV)
		*value = major << 20 | minor;
	else
		*value = (minor & 0xff) | major << 8 | (minor & 0xfff00) << 12;
	return true;
}

bool field_from_text(struct field_style style, const char *text, bool *negative, uint64_t *value)
{
	*negative = false;
	switch (style.form) {
	case FORM_FLAGS:
		return flags_from_text(style.names, text, value);
	case FORM_NAME:
		return name_from_text(style.names, text, value);
	case FORM_DEV:
	case FORM_STAT_DEV:
		if (dev_from_text(style.form, text, value))
			return true;
		break;
	default:
		break;
	}
	return number_from_text(text, negative, value);
}

/* RFC 5952, but never with the dotted form for the last four bytes: as crit writes it. */
static void address6_to_text(const uint8_t *bytes, char text[FIELD_TEXT_MAX])
{
	int best = -1, best_len = 1, start = -1;
	size_t len = 0;

	for (int i = 0; i <= 8; i++) {
		bool zero = i < 8 && !bytes[2 * i] && !bytes[2 * i + 1];

		if (zero && start < 0)
			start = i;
		if (zero || start < 0)
			continue;
		if (i - start > best_len) {
			best = start;
			best_len = i - start;
		}
		start = -1;
	}
	text[0] = 0;
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			len += snprintf(text + len, FIELD_TEXT_MAX - len, "::");
			i += best_len - 1;
			continue;
		}
		len += snprintf(text + len, FIELD_TEXT_MAX - len, "%s%x",
				i && text[len - 1] != ':' ? ":" : "",
				bytes[2 * i] << 8 | bytes[2 * i + 1]);
	}
}

void address_to_text(const uint32_t *words, size_t n, char text[FIELD_TEXT_MAX])
{
	if (n == 4)
		address6_to_text((const uint8_t *)words, text);
	else
		inet_ntop(AF_INET, words, text, FIELD_TEXT_MAX);
}

size_t address_from_text(const char *text, uint32_t words[4])
{
	if (inet_pton(AF_INET, text, words) == 1)
		return 1;
	return inet_pton(AF_INET6, text, words) == 1 ? 4 : 0;
}
