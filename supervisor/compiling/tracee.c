/* ptrace(2), as much as the launcher needs of it: see quiet.c.

   `tracee_freeze` leaves a process without a tracer and still keeps it from executing a single instruction: it waits in a
   system call that only SIGKILL ends, since all other signals are blocked. SIGSTOP would not do. Whoever has the same
   user may send SIGCONT, and a process may have a timer send it to itself. */
#include "tracee.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

enum {
    /* No PTRACE_O_TRACEEXEC: the filter stops that call as well. */
    OPTIONS = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL,
    AUXILIARY_MOST = 1024, MAPS_MOST = 1 << 16, PAGE = 4096,
};

bool tracee_seize(pid_t pid) { return !ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS); }

/* Where one of these fails, it has been killed, which waiting for it tells. */
void tracee_interrupt(pid_t pid) { ptrace(PTRACE_INTERRUPT, pid, NULL, NULL); }

void tracee_listen(pid_t pid) { ptrace(PTRACE_LISTEN, pid, NULL, NULL); }

void tracee_go_on(pid_t pid, int signal, bool is_step) {
    ptrace(is_step ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, (void *)(intptr_t)signal);
}

bool tracee_call(pid_t pid, struct tracee_call *call) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_SECCOMP) return false;
    call->number = info.seccomp.nr, call->data = info.seccomp.ret_data;
    memcpy(call->arguments, info.seccomp.args, sizeof call->arguments);
    return true;
}

bool tracee_text(pid_t pid, uint64_t address, char *text, size_t room) {
    for (size_t done = 0; done < room;) {
        size_t size = PAGE - (address + done) % PAGE; /* The next page may not be there. */
        if (size > room - done) size = room - done;
        ssize_t got = memory_read(pid, address + done, text + done, size);
        if (got <= 0) return false;
        if (memchr(text + done, 0, (size_t)got)) return true;
        done += (size_t)got;
    }
    return false;
}

static ssize_t read_of(pid_t pid, const char *name, char *data, size_t room) {
    char path[64];
    size_t size = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    for (ssize_t got; size < room && (got = read(file, data + size, room - size)) > 0;) size += (size_t)got;
    close(file);
    return (ssize_t)size;
}

uint64_t tracee_entry(pid_t pid) {
    enum { AT_ENTRY_ = 9 }; /* getauxval(3) */
    uint64_t pairs[AUXILIARY_MOST / sizeof(uint64_t)];
    ssize_t size = read_of(pid, "auxv", (char *)pairs, sizeof pairs);
    for (ssize_t i = 0; (i + 2) * (ssize_t)sizeof *pairs <= size; i += 2) {
        if (pairs[i] == AT_ENTRY_) return pairs[i + 1];
    }
    return 0;
}

uint64_t tracee_library(pid_t pid, const char *path) {
    static char maps[MAPS_MOST];
    ssize_t size = read_of(pid, "maps", maps, sizeof maps - 1);
    if (size <= 0) return 0;
    maps[size] = 0;
    for (char *line, *rest = maps; (line = strsep(&rest, "\n"));) {
        char *file = strchr(line, '/');
        uint64_t start, offset;
        if (!file || strcmp(file, path)) continue;
        if (sscanf(line, "%lx-%*x %*s %lx", &start, &offset) == 2 && !offset) return start;
    }
    return 0;
}

static bool peek(pid_t pid, uint64_t address, uint64_t *word) {
    errno = 0;
    *word = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)address, NULL);
    return !errno;
}

static bool poke(pid_t pid, uint64_t address, uint64_t word) {
    return !ptrace(PTRACE_POKEDATA, pid, (void *)(uintptr_t)address, (void *)(uintptr_t)word);
}

#ifdef __x86_64__

enum { TRAP = 0xcc, SYSCALL = 0x050f, SYSCALL_SIZE = 2, USER_CODE = 0x33 };

bool tracee_is_possible(void) { return true; }

bool tracee_insert(pid_t pid, uint64_t address, uint64_t *original) {
    return peek(pid, address, original) && poke(pid, address, (*original & ~0xffUL) | TRAP);
}

/* What is there by now may be something else: whose memory it is may change it. */
bool tracee_take_out(pid_t pid, uint64_t address, uint64_t original) {
    uint64_t word;
    if (!peek(pid, address, &word)) return false;
    return (word & 0xff) != TRAP || poke(pid, address, (word & ~0xffUL) | (original & 0xff));
}

static int signal_code(pid_t pid) {
    siginfo_t about;
    return ptrace(PTRACE_GETSIGINFO, pid, NULL, &about) ? 0 : about.si_code;
}

uint64_t tracee_trapped_at(pid_t pid) {
    struct user_regs_struct registers;
    if (signal_code(pid) != SI_KERNEL || ptrace(PTRACE_GETREGS, pid, NULL, &registers)) return 0;
    return registers.rip - 1;
}

bool tracee_has_stepped(pid_t pid) { return signal_code(pid) == TRAP_TRACE; }

bool tracee_move(pid_t pid, uint64_t address) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, pid, NULL, &registers)) return false;
    registers.rip = address;
    return !ptrace(PTRACE_SETREGS, pid, NULL, &registers);
}

uint64_t tracee_first_argument(pid_t pid) {
    struct user_regs_struct registers;
    return ptrace(PTRACE_GETREGS, pid, NULL, &registers) ? 0 : registers.rdi;
}

/* As the kernel does it after a signal: arch_do_signal_or_restart() in arch/x86/kernel/signal.c. */
static void restart(struct user_regs_struct *registers) {
    enum { RESTARTSYS = 512, RESTARTNOINTR = 513, RESTARTNOHAND = 514, RESTART_RESTARTBLOCK = 516 };
    if ((long)registers->orig_rax < 0) return;
    switch (-(long)registers->rax) {
    case RESTARTSYS: case RESTARTNOINTR: case RESTARTNOHAND:
        registers->rax = registers->orig_rax, registers->rip -= SYSCALL_SIZE;
        break;
    case RESTART_RESTARTBLOCK:
        registers->rax = SYS_restart_syscall, registers->rip -= SYSCALL_SIZE;
        break;
    }
    registers->orig_rax = (unsigned long)-1;
}

/* Whoever takes over puts back what is in `place`: then it makes its call, or what it was about to do, anew. `trap` is
   the address of the breakpoint that it has run into, for AT_TRAP. */
bool tracee_freeze(pid_t pid, enum tracee_stop stop, uint64_t trap, struct tracee_place *place) {
    struct user_regs_struct now, later;
    const uint64_t all = ~0UL;
    uint64_t code;
    memset(place, 0, sizeof *place);
    _Static_assert(sizeof now <= REGISTERS_MOST, "registers");
    if (ptrace(PTRACE_GETREGS, pid, NULL, &now)) return false;
    later = now;
    bool is_straight = false;
    if (stop == AT_CALL) {
        later.rip -= SYSCALL_SIZE, later.rax = now.orig_rax, later.orig_rax = (unsigned long)-1;
        if (!peek(pid, later.rip, &code)) return false;
        is_straight = (code & 0xffff) == SYSCALL && now.cs == USER_CODE; /* No `int 0x80`. */
    } else if (stop == AT_TRAP) {
        later.rip = trap, later.orig_rax = (unsigned long)-1;
    } else {
        restart(&later);
    }
    if (is_straight) {
        now.orig_rax = SYS_pause; /* The filter sees this one as well, and allows it. */
    } else {
        /* It is alone with its memory, so that what is written there is the next that it executes. */
        if (!peek(pid, later.rip, &place->original) || !poke(pid, later.rip, (place->original & ~0xffffUL) | SYSCALL)) return false;
        place->patched = later.rip;
        now.rip = later.rip, now.cs = USER_CODE, now.rax = SYS_pause, now.orig_rax = (unsigned long)-1;
    }
    memcpy(place->registers, &later, sizeof later);
    return !ptrace(PTRACE_GETSIGMASK, pid, (void *)sizeof place->mask, &place->mask)
        && !ptrace(PTRACE_SETSIGMASK, pid, (void *)sizeof all, &all) && !ptrace(PTRACE_SETREGS, pid, NULL, &now)
        && !ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

#else /* Hosts are started by supervisors there. */

bool tracee_is_possible(void) { return false; }
bool tracee_insert(pid_t pid, uint64_t address, uint64_t *original) { return (void)poke, peek(pid, address, original) && false; }
bool tracee_take_out(pid_t pid, uint64_t address, uint64_t original) { return (void)pid, (void)address, (void)original, false; }
uint64_t tracee_trapped_at(pid_t pid) { return (void)pid, 0; }
bool tracee_has_stepped(pid_t pid) { return (void)pid, false; }
bool tracee_move(pid_t pid, uint64_t address) { return (void)pid, (void)address, false; }
uint64_t tracee_first_argument(pid_t pid) { return (void)pid, 0; }
bool tracee_freeze(pid_t pid, enum tracee_stop stop, uint64_t trap, struct tracee_place *place) {
    return (void)pid, (void)stop, (void)trap, (void)place, false;
}

#endif
