/* One process that the launcher traces: see tracee.c. */
#ifndef BUILDPERM_TRACEE_H
#define BUILDPERM_TRACEE_H

#include "launcher.h"

enum { REGISTERS_MOST = 256 };

/* A system call that is about to be made. */
struct tracee_call {
    uint64_t number, arguments[6];
    uint32_t data; /* Of the filter: 0 where it only wants the call to be seen. */
};

/* Where a process was stopped for good, and what has to be put back before it may go on. */
struct tracee_place {
    uint8_t registers[REGISTERS_MOST]; /* As PTRACE_GETREGS has them. */
    uint64_t mask;                     /* Of blocked signals. */
    uint64_t patched, original;        /* Where a word of its code was replaced, if it was, and the word. */
};

enum tracee_stop { AT_CALL, AT_TRAP, ELSEWHERE };

bool tracee_is_possible(void);             /* On this processor. */
bool tracee_seize(pid_t pid);
void tracee_interrupt(pid_t pid);
void tracee_listen(pid_t pid);            /* Leaves it in its group-stop. */
void tracee_go_on(pid_t pid, int signal, bool is_step);
bool tracee_call(pid_t pid, struct tracee_call *call);
bool tracee_text(pid_t pid, uint64_t address, char *text, size_t room); /* Whole, with its NUL. */
uint64_t tracee_entry(pid_t pid);          /* Where the program that it has just executed begins, or 0. */
uint64_t tracee_library(pid_t pid, const char *path); /* Where that library is mapped, or 0. */
bool tracee_insert(pid_t pid, uint64_t address, uint64_t *original);
bool tracee_take_out(pid_t pid, uint64_t address, uint64_t original);
uint64_t tracee_trapped_at(pid_t pid);     /* The address of the breakpoint that it has run into, or 0. */
bool tracee_has_stepped(pid_t pid);
bool tracee_move(pid_t pid, uint64_t address);
uint64_t tracee_first_argument(pid_t pid);
bool tracee_freeze(pid_t pid, enum tracee_stop stop, uint64_t trap, struct tracee_place *place);

#endif
