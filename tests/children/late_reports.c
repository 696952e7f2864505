/* waitpid(2) for the inner loop that tells of a fork late: after the entry of the ENTRIESth call since then.

   ptrace(2), PTRACE_O_TRACEFORK: whoever was made may stop, go on, and be in a call before its maker gets to say so. How
   late that is, is up to the scheduler; a busy machine decides it here as it likes.                                    */
#define _GNU_SOURCE
#undef waitpid
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECCOMP_STOP = 7 << 16 | 5 << 8 | 0x7f, FORK = 1, CLONE = 3, LONGEST_MS = 50 };

static int held_tid, held_status, entries; /* The report that is held back, if there is a `held_tid`. */
static int next_tid, next_status;          /* What comes right after it, likewise. */

static int told(int *tid_to_tell, int value, int *status) {
    int tid = *tid_to_tell;
    *status = value, *tid_to_tell = 0;
    return tid;
}

/* Waits; 0 if nothing happens for so long that all may be waiting for the one whose report is held back. */
static int waited(int pid, int *status, int options) {
    if (!held_tid) return waitpid(pid, status, options);
    for (int ms = 0; ms < LONGEST_MS; ms++) {
        int tid = waitpid(pid, status, options | WNOHANG);
        if (tid) return tid;
        usleep(1000);
    }
    return 0;
}

int late_waitpid(int pid, int *status, int options) {
    if (next_tid) return told(&next_tid, next_status, status);
    if (held_tid && entries >= ENTRIES) return told(&held_tid, held_status, status);
    for (;;) {
        int tid = waited(pid, status, options), event = *status >> 16;
        bool is_stop = tid > 0 && (*status & 0xff) == 0x7f;
        if (is_stop && event >= FORK && event <= CLONE && !held_tid) {
            held_tid = tid, held_status = *status, entries = 0;
            continue;
        }
        if (held_tid && !is_stop) { /* An end, or nothing. */
            if (tid) next_tid = tid, next_status = *status;
            return told(&held_tid, held_status, status);
        }
        entries += is_stop && *status == SECCOMP_STOP;
        return tid;
    }
}
