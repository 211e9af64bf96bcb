// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers of a task that is caught anywhere: between two instructions of a loop. All of
 * them hold patterns while it runs round and looks at a byte of a shared file.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <fenv.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "factory/factory.h"

#define RW (PROT_READ | PROT_WRITE)

/* The file that the test changes when it says go: FOLDER/flag. */
static volatile unsigned char *spin_flag(void)
{
	int fd = MUST(open(in_work("flag"), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
	void *at;

	MUST(ftruncate(fd, 4096));
	at = MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	close(fd);
	return at;
}

KIND(general_registers, "a loop with all general registers and flags in use", .spins = true)
{
	volatile unsigned char *flag = spin_flag();
	uint64_t got[15] = {};

	tell_ready();
	asm volatile("push %%rbp\n\t"
		     "push %%rdi\n\t"
		     "mov %%rsi, %%rbp\n\t"
		     "mov $0x1111111111111111, %%rax\n\t"
		     "mov $0x2222222222222222, %%rbx\n\t"
		     "mov $0x3333333333333333, %%rcx\n\t"
		     "mov $0x4444444444444444, %%rdx\n\t"
		     "mov $0x5555555555555555, %%rdi\n\t"
		     "mov $0x6666666666666666, %%rsi\n\t"
		     "mov $0x7777777777777777, %%r8\n\t"
		     "mov $0x8888888888888888, %%r9\n\t"
		     "mov $0x9999999999999999, %%r10\n\t"
		     "mov $0xaaaaaaaaaaaaaaaa, %%r11\n\t"
		     "mov $0xbbbbbbbbbbbbbbbb, %%r12\n\t"
		     "mov $0xcccccccccccccccc, %%r13\n\t"
		     "mov $0xdddddddddddddddd, %%r14\n\t"
		     "mov $0xeeeeeeeeeeeeeeee, %%r15\n\t"
		     "std\n"
		     "1:\tcmpb $0, (%%rbp)\n\t"
		     "je 1b\n\t"
		     "pushfq\n\t"
		     "cld\n\t"
		     "mov 8(%%rsp), %%rbp\n\t" /* the array */
		     "mov %%rax, (%%rbp)\n\t"
		     "mov %%rbx, 8(%%rbp)\n\t"
		     "mov %%rcx, 16(%%rbp)\n\t"
		     "mov %%rdx, 24(%%rbp)\n\t"
		     "mov %%rdi, 32(%%rbp)\n\t"
		     "mov %%rsi, 40(%%rbp)\n\t"
		     "mov %%r8, 48(%%rbp)\n\t"
		     "mov %%r9, 56(%%rbp)\n\t"
		     "mov %%r10, 64(%%rbp)\n\t"
		     "mov %%r11, 72(%%rbp)\n\t"
		     "mov %%r12, 80(%%rbp)\n\t"
		     "mov %%r13, 88(%%rbp)\n\t"
		     "mov %%r14, 96(%%rbp)\n\t"
		     "mov %%r15, 104(%%rbp)\n\t"
		     "pop 112(%%rbp)\n\t"
		     "pop %%rdi\n\t"
		     "pop %%rbp\n\t"
		     :
		     : "D"(got), "S"(flag)
		     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
		       "r15", "memory", "cc");
	for (int i = 0; i < 14; i++)
		if (got[i] != 0x1111111111111111ull * (i + 1))
			differ(__FILE__, __LINE__, "register %d is %lx", i, got[i]);
	CHECK(got[14] & 0x400); /* the direction flag */
}

static bool has_avx512(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_AVX512F && b & bit_AVX512BW;
}

KIND(vector_registers, "a loop with SSE and AVX registers in use", .spins = true)
{
	static unsigned char in[16][32] __attribute__((aligned(64)));
	static unsigned char out[16][32] __attribute__((aligned(64)));
	volatile unsigned char *flag = spin_flag();

	if (!__builtin_cpu_supports("avx"))
		skip("this CPU has no AVX");
	fill(in, sizeof(in), 11);
	tell_ready();
#define EACH16(op)                                                                              \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) \
		op(14) op(15)
#define LOAD_Y(n)  "vmovdqa 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define STORE_Y(n) "vmovdqa %%ymm" #n ", 32*" #n "(%[out])\n\t"
	asm volatile(EACH16(LOAD_Y) "1:\tcmpb $0, (%[flag])\n\t"
				    "je 1b\n\t" EACH16(STORE_Y)
		     :
		     : [in] "r"(in), [out] "r"(out), [flag] "r"(flag)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	CHECK(!memcmp(in, out, sizeof(in)));
}

KIND(avx512_registers, "a loop with AVX-512 registers and masks in use", .spins = true)
{
	static unsigned char in[32][64] __attribute__((aligned(64)));
	static unsigned char out[32][64] __attribute__((aligned(64)));
	static uint64_t k_in[8], k_out[8];
	volatile unsigned char *flag = spin_flag();

	if (!has_avx512())
		skip("this CPU has no AVX-512");
	fill(in, sizeof(in), 12);
	fill(k_in, sizeof(k_in), 13);
	tell_ready();
#define EACH_HIGH16(op)                                                                            \
	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) \
		op(29) op(30) op(31)
#define EACH8(op)  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define LOAD_Z(n)  "vmovdqa64 64*" #n "(%[in]), %%zmm" #n "\n\t"
#define STORE_Z(n) "vmovdqa64 %%zmm" #n ", 64*" #n "(%[out])\n\t"
#define LOAD_K(n)  "kmovq 8*" #n "(%[k_in]), %%k" #n "\n\t"
#define STORE_K(n) "kmovq %%k" #n ", 8*" #n "(%[k_out])\n\t"
	asm volatile(EACH16(LOAD_Z) EACH_HIGH16(LOAD_Z)
			     EACH8(LOAD_K) "1:\tcmpb $0, (%[flag])\n\t"
					   "je 1b\n\t" EACH16(STORE_Z) EACH_HIGH16(STORE_Z)
						   EACH8(STORE_K) "vzeroall\n\t"
		     :
		     : [in] "r"(in), [out] "r"(out), [flag] "r"(flag), [k_in] "r"(k_in),
		       [k_out] "r"(k_out)
		     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
		       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
		       "xmm15");
	CHECK(!memcmp(in, out, sizeof(in)));
	CHECK(!memcmp(k_in, k_out, sizeof(k_in)));
}

KIND(x87, "values on the x87 stack and a control word", .spins = true)
{
	volatile unsigned char *flag = spin_flag();
	unsigned short control = 0x0e7f, got_control = 0; /* toward zero, 53 bits */
	unsigned short keep;
	double a = 0, b = 0;

	asm volatile("fnstcw %0" : "=m"(keep));
	tell_ready();
	asm volatile("fldcw %[control]\n\t"
		     "fldpi\n\t"
		     "fldl2e\n"
		     "1:\tcmpb $0, (%[flag])\n\t"
		     "je 1b\n\t"
		     "fstpl %[a]\n\t"
		     "fstpl %[b]\n\t"
		     "fnstcw %[got]\n\t"
		     : [a] "=m"(a), [b] "=m"(b), [got] "=m"(got_control)
		     : [control] "m"(control), [flag] "r"(flag)
		     : "memory", "cc");
	asm volatile("fldcw %0" : : "m"(keep));
	CHECK(a > 1.4426950408 && a < 1.4426950409);
	CHECK(b > 3.1415926535 && b < 3.1415926536);
	CHECK_EQ(got_control, control);
}

KIND(mxcsr, "a rounding mode other than the default")
{
	MUST(fesetround(FE_UPWARD));
	hold();
	CHECK_EQ(fegetround(), FE_UPWARD);
	fesetround(FE_TONEAREST);
}

KIND(segment_bases, "FS and GS bases")
{
	unsigned long fs, gs;

	MUST(syscall(SYS_arch_prctl, 0x1001, 0x123456789000)); /* ARCH_SET_GS */
	MUST(syscall(SYS_arch_prctl, 0x1003, &fs));	       /* ARCH_GET_FS */
	hold();
	CHECK_EQ(syscall(SYS_arch_prctl, 0x1004, &gs), 0);
	CHECK_EQ(gs, 0x123456789000);
	CHECK_EQ(syscall(SYS_arch_prctl, 0x1003, &gs), 0);
	CHECK_EQ(gs, fs);
}

KIND(protection_keys, "memory protection keys and PKRU")
{
	char *at = map_anon(4096, RW, MAP_PRIVATE);
	int key = pkey_alloc(0, 0);

	if (key < 0)
		skip("pkey_alloc: %s", strerror(errno));
	fill(at, 4096, 1);
	MUST(pkey_mprotect(at, 4096, RW, key));
	MUST(pkey_set(key, PKEY_DISABLE_WRITE));
	hold();
	CHECK_EQ(pkey_get(key), PKEY_DISABLE_WRITE);
	CHECK_EQ(pkey_set(key, 0), 0);
	CHECK(filled(at, 4096, 1));
}

/* Registered where it was: another address is refused as busy, the right one comes free. */
KIND(rseq, "the rseq area that glibc has registered")
{
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	unsigned int size = __rseq_size < 32 ? 32 : __rseq_size;
	static char other[64] __attribute__((aligned(64)));

	if (!__rseq_size)
		skip("glibc registers no rseq area");
	hold();
	errno = 0;
	CHECK(syscall(SYS_rseq, other, size, 0, RSEQ_SIG) < 0);
	CHECK_EQ(syscall(SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), 0);
}

static void *own_list(void *arg)
{
	static struct robust_list_head head;

	head.list.next = &head.list;
	MUST(syscall(SYS_set_robust_list, &head, sizeof(head)));
	pthread_barrier_wait(arg);
	hold_peer();
	return NULL;
}

/* The rseq area is found by the robust list, and then isn't: contents go uncompared. */
KIND(robust_list, "a thread with a robust list of its own", .moves = "map")
{
	pthread_barrier_t b;
	pthread_t id;

	/* That the list is where it was is seen from outside, for both threads. */
	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&id, NULL, own_list, &b);
	pthread_barrier_wait(&b);
	hold();
	CHECK_EQ(pthread_join(id, NULL), 0);
}
