/* Waits for stops, and answers those of repeated calls. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The whole wait status of the two stops: ptrace.py. */
#define SECCOMP_STOP (7 << 16 | 5 << 8 | 0x7f)
#define SYSCALL_EXIT_STOP ((5 | 0x80) << 8 | 0x7f)

enum {
    MOST_CALLS = 32,
    RESTARTING = 512, /* An errno from here on is for the kernel: it makes the call again. */
    UNTOLD = -1,      /* In the place of an argument that the call does not have. */
};

/* struct ptrace_syscall_info: ptrace(2), PTRACE_GET_SYSCALL_INFO. */
struct info {
    uint8_t operation, padding[3];
    uint32_t architecture;
    uint64_t instruction, stack;
    union {
        struct {
            uint64_t number, arguments[6];
            uint32_t data;
        } entry;
        struct {
            int64_t value;
            uint8_t is_error;
        } exit;
    };
};

/* A call, and where its arguments are: OpenLayout, ExecutionLayout and LookLayout in syscall_table.py. */
struct call {
    int number, start, path, flags, fixed_flags, argv;
    bool looks, reads_link;
};

static struct call calls[MOST_CALLS];
static size_t call_count;
static bool is_collecting; /* All paths are collected that are asked for: Recorder.collect. */
static bool is_looking; /* Looks are recorded: Recorder.observe_looks. */
static int token_calls[MOST_CALLS]; /* Those that may move tokens of the job server: jobserver_tokens.py. */
static size_t token_call_count;
static uint64_t pipe_device, pipe_inode; /* Of the job server; zeros where there is none. */
static bool is_hiding; /* What is outside may not be there within: Recorder.expect_wrapper. */
static int wakeup = -1;
static volatile uint64_t *signals; /* What `wakeup` holds: nonzero once a signal has come. */

/* What `take` returns: the arguments of a call, with the directory in front of the path where it has been read. */
static struct taken {
    int32_t tid, start, flags, can_note, executes;
    uint32_t path_size, found_size, padding;
    uint64_t argv;
    char path[PATH_SIZE + 1 + READ_SIZE];
    char found[PATH_SIZE];
} taken;

static struct text start, found;

/* Forgets everything. Returns 0 if it can be used from now on. */
EXPORTED int restart(void) {
    call_count = token_call_count = 0, pipe_device = pipe_inode = 0;
    is_hiding = is_looking = is_collecting = false, wakeup = -1, taken.tid = 0;
    drop_threads();
    drop_shown();
    forget_folders();
    forget_news();
    forget_asked();
    return restart_repeats() ? 0 : -1;
}

EXPORTED void add_open(int number, int start_at, int path_at, int flags_at, int fixed_flags) {
    if (call_count < MOST_CALLS) {
        calls[call_count++] = (struct call){number, start_at, path_at, flags_at, fixed_flags, UNTOLD, false, false};
    }
}

EXPORTED void add_look(int number, int start_at, int path_at, int flags_at, int fixed_flags, int reads_link) {
    if (call_count < MOST_CALLS) {
        calls[call_count++] = (struct call){number, start_at, path_at, flags_at, fixed_flags, UNTOLD, true, reads_link};
    }
}

EXPORTED void add_execution(int number, int start_at, int path_at, int argv_at) {
    if (call_count < MOST_CALLS) {
        calls[call_count++] = (struct call){number, start_at, path_at, UNTOLD, 0, argv_at, false, false};
    }
}

EXPORTED void set_looking(int on) { is_looking = on; }

EXPORTED void set_collecting(int on) { is_collecting = on; }

EXPORTED void add_token_call(int number) {
    if (token_call_count < MOST_CALLS) token_calls[token_call_count++] = number;
}

/* Python counts the tokens that are moved through this pipe. */
EXPORTED void set_job_server(uint64_t device, uint64_t inode) { pipe_device = device, pipe_inode = inode; }

EXPORTED void set_hiding(int on) { is_hiding = on; }

/* From now on, a signal for Python to handle ends the wait: its handler in C writes a byte to `descriptor`, a file in
   memory, which can be looked at without a system call. -1: no more. */
EXPORTED int set_wakeup(int descriptor) {
    if (signals) munmap((void *)(uintptr_t)signals, sizeof *signals);
    wakeup = descriptor, signals = NULL;
    if (descriptor < 0) return 0;
    void *mapped = mmap(NULL, sizeof *signals, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED) return -1;
    signals = mapped;
    return 0;
}

/* Tells whether a signal has come since it was last asked. The caller then returns to Python, which handles it, and any
   other that comes meanwhile. */
static bool has_signal(void) {
    if (!signals || !*signals) return false;
    *signals = 0;
    lseek(wakeup, 0, SEEK_SET);
    return true;
}

/* Lets a look go on, without a stop at its exit, at what is no folder of the script's own, and is shown or is nowhere. */
static bool is_of_no_interest(struct thread *thread, const struct call *call, const uint64_t *arguments) {
    if (!read_looked_at(thread, arguments[call->path])) {
        if (is_collecting && thread->is_empty) ptrace(PTRACE_CONT, thread->tid, NULL, NULL);
        return is_collecting && thread->is_empty;
    }
    thread->start = call->start == UNTOLD ? AT_FDCWD : (int)arguments[call->start];
    if (is_collecting) {
        if (!ask(thread)) return false;
        note_asked(thread, call->reads_link ? READ_LINK : LOOKED);
    }
    if (is_looking) {
        int flags = call->flags == UNTOLD ? call->fixed_flags : (int)arguments[call->flags];
        if (may_be_concealed(thread, !(flags & AT_SYMLINK_NOFOLLOW))) return false;
    }
    ptrace(PTRACE_CONT, thread->tid, NULL, NULL);
    return true;
}

/* Tells whether a call reads or writes a few bytes, and not those of the job server. */
static bool moves_no_tokens(int tid, const struct info *info) {
    const int *number = token_calls, *end = token_calls + token_call_count;
    while (number < end && (uint64_t)*number != info->entry.number) number++;
    if (number == end) return false;
    struct stat found;
    return !stat_descriptor(tid, (uint32_t)info->entry.arguments[0], &found) || found.st_dev != pipe_device ||
           found.st_ino != pipe_inode;
}

/* Returns true if the stop has been answered. */
static bool at_entry(int tid) {
    struct thread *thread = find_thread(tid);
    struct info info;
    if (!thread) return false;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0) return true; /* It is gone. */
    if (info.entry.data) return false; /* The call is to be refused, brokered, or is foreign. */
    const struct call *call = calls, *end = calls + call_count;
    while (call < end && (uint64_t)call->number != info.entry.number) call++;
    if (call != end && call->looks) return is_of_no_interest(thread, call, info.entry.arguments);
    if (thread->chain == UNKNOWN) return false;
    if (call == end && moves_no_tokens(tid, &info)) {
        ptrace(PTRACE_CONT, tid, NULL, NULL);
        return true;
    }
    if (call == end || !read_path(thread, info.entry.arguments[call->path])) return false;
    if (thread->is_watched && is_of_system(thread)) return false;
    thread->start = call->start == UNTOLD ? AT_FDCWD : (int)info.entry.arguments[call->start];
    thread->flags = call->flags == UNTOLD ? call->fixed_flags : (int)info.entry.arguments[call->flags];
    thread->executes = call->argv != UNTOLD;
    thread->argv = thread->executes ? info.entry.arguments[call->argv] : 0;
    /* Afterwards, nobody could say where the thread was that has executed something. */
    if (thread->executes && thread->path[0] != '/') return false;
    if (thread->executes && thread->is_watched && is_collecting) return false; /* Its memory is read first. */
    if (is_collecting) {
        if (!ask(thread)) return false;
        if (thread->executes) note_asked(thread, EXECUTED);
    }
    thread->in_call = true;
    taken.tid = 0; /* What was to be taken has not been. */
    if (thread->executes) ptrace(PTRACE_SYSCALL, tid, NULL, NULL); /* It may end as another thread. */
    else resume_call(tid);
    return true;
}

/* Tells whether `found` ends as the relative path of a request does: open_calls.py, OpenedPaths.differ. */
static bool is_plainly_found(const struct thread *thread) {
    if (memmem(thread->path, thread->size, "..", 2) || found.size <= thread->size) return false;
    const char *tail = found.bytes + found.size - thread->size;
    return tail[-1] == '/' && !memcmp(tail, thread->path, thread->size);
}

static bool is_opened_before(const struct thread *thread, uint32_t descriptor) {
    struct repeat repeat = {thread->chain, false, thread->flags, 0, NULL, &found, thread};
    if (!read_descriptor(thread->tid, descriptor, &found)) return false;
    bool is_same = found.size == thread->size && !memcmp(found.bytes, thread->path, found.size);
    if (!is_same) {
        bool is_relative = thread->path[0] != '/';
        if (is_relative && !is_plainly_found(thread)) {
            if (!read_start(thread, &start)) return false;
            repeat.start = &start;
        }
        if ((!is_relative || repeat.start) && is_own(repeat.start, thread)) return false;
    }
    bool is_plain = !repeat.start && (thread->path[0] != '/' || is_same); /* Else another thread may have changed it. */
    if (is_looking && thread->flags & (O_PATH | O_DIRECTORY)) is_plain = false; /* Python knows what is not shown there. */
    if (count_repeat(&repeat) || (is_plain && note_news(&repeat))) return true;
    taken.can_note = true;
    taken.found_size = (uint32_t)found.size;
    memcpy(taken.found, found.bytes, found.size);
    return false;
}

/* Tells whether the path is there outside: only then can "no such file" be the answer of a wrapper. */
static bool is_outside(const struct thread *thread, const struct text *from) {
    char path[PATH_SIZE + 1 + READ_SIZE + 1];
    size_t size = 0;
    if (from) memcpy(path, from->bytes, from->size), size = from->size, path[size++] = '/';
    memcpy(path + size, thread->path, thread->size);
    path[size + thread->size] = 0;
    return !faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) || (errno != ENOENT && errno != ENOTDIR);
}

static bool is_failed_before(const struct thread *thread, int error) {
    struct repeat repeat = {thread->chain, thread->executes, thread->flags, error, NULL, NULL, thread};
    if (error == EACCES || error == EPERM || error == EXDEV || error == EROFS) return false; /* refusal.py */
    if (thread->executes && error != ENOENT) return false; /* Its arguments count: exec_calls.py. */
    if (thread->path[0] != '/') {
        if (!read_start(thread, &start)) return false;
        repeat.start = &start;
    }
    if (is_own(repeat.start, thread)) return false;
    if (is_hiding && (error == ENOENT || error == ENOTDIR)) {
        bool creates = !thread->executes && thread->flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY));
        if (creates || is_outside(thread, repeat.start)) return false;
    }
    if (count_repeat(&repeat) || (!thread->executes && note_news(&repeat))) return true;
    taken.can_note = true;
    return false;
}

/* Returns true if the stop has been answered. If not, `take` returns the call. */
static bool at_exit_stop(int tid) {
    struct thread *thread = find_thread(tid);
    struct info info;
    if (!thread || !thread->in_call) return false;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0) {
        thread->in_call = false; /* It is gone. */
        return true;
    }
    int64_t value = info.exit.value;
    taken.tid = tid, taken.can_note = false, taken.found_size = 0, start.size = 0;
    if (value > -RESTARTING) {
        if (is_collecting && !thread->executes) note_asked(thread, value >= 0 ? OPENED : LOOKED);
        if (thread->chain == UNKNOWN) return false; /* Meanwhile it has turned out whose child it is. */
        if (value >= 0 && (thread->executes || thread->is_watched)) return false;
        if (!(value >= 0 ? is_opened_before(thread, (uint32_t)value) : is_failed_before(thread, (int)-value))) {
            return false;
        }
    }
    thread->in_call = false;
    resume(tid);
    return true;
}

/* Gives up the call that the thread is in, and returns its arguments; NULL if it is in none. */
EXPORTED const struct taken *take(int tid) {
    struct thread *thread = find_thread(tid);
    if (!thread || !thread->in_call) return NULL;
    thread->in_call = false;
    if (taken.tid != tid) taken.can_note = false, taken.found_size = 0, start.size = 0;
    size_t size = 0;
    taken.start = thread->start, taken.flags = thread->flags;
    taken.executes = thread->executes, taken.argv = thread->argv;
    if (taken.can_note && start.size) {
        memcpy(taken.path, start.bytes, start.size);
        size = start.size;
        taken.path[size++] = '/';
        taken.start = AT_FDCWD;
    }
    memcpy(taken.path + size, thread->path, thread->size);
    taken.path_size = (uint32_t)(size + thread->size);
    taken.tid = 0;
    return &taken;
}

EXPORTED int is_in_call(int tid) {
    const struct thread *thread = find_thread(tid);
    return thread && thread->in_call;
}

/* Waits for the next stop that Python has to see, or the end of a thread; returns its ID, or -errno. */
EXPORTED int next_stop(int *status) {
    for (;;) {
        if (has_signal()) return -EINTR;
        int tid = waitpid(-1, status, __WALL);
        if (tid < 0) return -errno;
        bool is_done = *status == SECCOMP_STOP        ? at_entry(tid)
                       : *status == SYSCALL_EXIT_STOP ? at_exit_stop(tid)
                                                      : false;
        if (!is_done) return tid;
    }
}
