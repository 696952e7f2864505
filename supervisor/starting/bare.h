/* System calls and the entry of a program without libc: what starts once per build script loads nothing, looks for
 * nothing, and is started in a fraction of a millisecond. x86-64 and aarch64; see also `sandbox/start_programs.py`. */
#ifndef BARE_H
#define BARE_H

#define _GNU_SOURCE

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* One source of a program has the entry, and what a compiler may call by itself: the others define BARE_PART. */
#ifdef BARE_PART
#define BARE_ENTRY(text)
#else
#define BARE_ENTRY(text) __asm__(text)
#endif

#if defined(__x86_64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
BARE_ENTRY(".text\n.globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n hlt\n");
#elif defined(__aarch64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
BARE_ENTRY(".text\n.globl _start\n_start:\n mov x29, #0\n mov x30, #0\n mov x0, sp\n bl begin\n brk #1\n");
#else
#error "this processor is not supported"
#endif

/* Returns -errno for a failure, as the kernel does. */
#define CALL(number, a, b, c, d, e, f) \
    call6((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL3(number, a, b, c) CALL(number, a, b, c, 0, 0, 0)

_Noreturn static inline void leave(int status) {
    for (;;) CALL3(SYS_exit_group, status, 0, 0);
}

#ifndef BARE_PART
/* `volatile` keeps a compiler from making a call of either loop. */
void *memcpy(void *into, const void *from, size_t size) {
    volatile char *to = into;
    const char *at = from;
    while (size--) *to++ = *at++;
    return into;
}

void *memset(void *into, int byte, size_t size) {
    volatile char *to = into;
    while (size--) *to++ = (char)byte;
    return into;
}
#endif

static inline size_t length(const char *text) {
    size_t found = 0;
    while (text[found]) found++;
    return found;
}

/* Returns what follows `head` in `of`; NULL if it does not begin so. */
static inline const char *after(const char *of, const char *head) {
    while (*head)
        if (*of++ != *head++) return NULL;
    return of;
}

/* The first is what _start jumps to, with what execve(2) has put on the stack: argc, argv, NULL, environment, NULL. */
__attribute__((used)) _Noreturn void begin(long *stack);

#endif
