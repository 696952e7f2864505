/* The threads that are traced, and which processor each may run on while it is in a call: cpu_affinity.py says why. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

enum {
    BUCKETS = 1 << 12,
    CALLS_PER_CPU = 64, /* Then the scheduler may choose another processor for the recorder. */
    MASK_SIZE = 1024,   /* Bytes: one bit for each processor that Linux can have, NR_CPUS. */
};

static struct thread *buckets[BUCKETS];

static struct thread **place_of(int tid) {
    struct thread **place = &buckets[(unsigned)tid % BUCKETS];
    while (*place && (*place)->tid != tid) place = &(*place)->next;
    return place;
}

struct thread *find_thread(int tid) { return *place_of(tid); }

/* NULL where there is no memory left. */
static struct thread *obtain_thread(int tid) {
    struct thread **place = place_of(tid);
    if (!*place && (*place = calloc(1, sizeof **place))) (*place)->tid = tid, (*place)->chain = UNKNOWN;
    return *place;
}

/* From now on, repeated opens of the thread are answered here, or only those that fail if it is watched. It belongs to a
   process with this chain. */
EXPORTED void know(int tid, int chain, int is_watched) {
    struct thread *thread = obtain_thread(tid);
    if (thread) thread->chain = chain, thread->is_watched = is_watched;
}

/* The thread has ended, and its ID may be used again. */
EXPORTED void forget(int tid) {
    struct thread **place = place_of(tid), *thread = *place;
    if (!thread) return;
    *place = thread->next;
    free(thread);
}

/* Until the next `know`, all stops of the thread go to Python. It may be in a call, which `take` still returns. */
EXPORTED void unknow(int tid) {
    struct thread *thread = find_thread(tid);
    if (thread) thread->chain = UNKNOWN;
}

void drop_threads(void) {
    for (size_t i = 0; i < BUCKETS; i++) {
        while (buckets[i]) forget(buckets[i]->tid);
    }
}

/* ---- Processors ---- */
static bool is_pinning;
static unsigned char full[MASK_SIZE], one[MASK_SIZE]; /* Of the script and the recorder; of the pinned. */
static int calls_left;                                /* On this processor; 0: the recorder is not pinned. */

static int set_mask(int tid, const unsigned char *mask) {
    return sched_setaffinity(tid, MASK_SIZE, (const cpu_set_t *)(const void *)mask);
}

EXPORTED void unpin_all(void) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct thread *thread = buckets[i]; thread; thread = thread->next) {
            if (thread->pinned) set_mask(thread->tid, full), thread->pinned = false;
        }
    }
}

EXPORTED void start_pinning(const unsigned char *mask) {
    memcpy(full, mask, MASK_SIZE);
    is_pinning = true;
}

EXPORTED void stop_pinning(void) {
    if (!is_pinning) return;
    is_pinning = false, calls_left = 0;
    set_mask(0, full);
    unpin_all();
}

EXPORTED void unpin_new(int tid) {
    struct thread *thread = find_thread(tid);
    if (thread) thread->pinned = false;
    if (is_pinning) set_mask(tid, full);
}

EXPORTED void resume_call(int tid) {
    if (is_pinning) {
        if (!calls_left) {
            int cpu = sched_getcpu();
            if (cpu < 0 || cpu >= MASK_SIZE * 8) cpu = 0;
            memset(one, 0, sizeof one);
            one[cpu / 8] = (unsigned char)(1 << cpu % 8);
            set_mask(0, one);
            calls_left = CALLS_PER_CPU;
        }
        struct thread *thread = --calls_left ? obtain_thread(tid) : NULL;
        if (thread && !set_mask(tid, one)) thread->pinned = true;
        else if (!calls_left) set_mask(0, full); /* It may wake up on any; the recorder then stays there. */
    }
    ptrace(PTRACE_SYSCALL, tid, NULL, NULL);
}

EXPORTED void resume(int tid) {
    ptrace(PTRACE_CONT, tid, NULL, NULL);
    struct thread *thread = find_thread(tid);
    if (thread && thread->pinned) thread->pinned = false, set_mask(tid, full);
}
