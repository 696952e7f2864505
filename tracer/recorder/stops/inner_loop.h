/* The recorder's inner loop: it answers the stops of calls that only repeat what has been recorded.

   A build script opens the same files again and again, and looks for the same program in each folder of PATH. What the
   Python loop has made of such a call once, it has this library remember: the same program, flags, request and answer
   of the kernel. The next time, both stops are answered here, and the event is counted. A file that is opened for the
   first time, by the very path that the kernel has for it, is answered as well, and told to Python before its next stop.
   Whatever else is new, or is another call, or fails as a sandbox would let it fail, goes to Python. Nothing is decided
   here: without this library Python handles all stops, and writes the same recording.

   One thread, no locks: ptrace(2) wants all requests of a tracee from the thread that attached. What the traced
   processes choose (paths, descriptors, flags) is hostile, and of any length.                                        */
#ifndef BUILDPERM_INNER_LOOP_H
#define BUILDPERM_INNER_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))

enum {
    PATH_SIZE = 4096, /* limits.h: PATH_MAX, the NUL included. */
    READ_SIZE = 512,  /* Of a request, without its NUL; Python reads longer ones. */
};

/* ---- threads.c: the threads of the tree, and their processors ---- */
struct thread {
    struct thread *next; /* In its bucket. */
    int tid;
    int chain;    /* Of the programs that led here: process_tree.py. UNKNOWN: Python handles the next stop. */
    bool is_watched; /* Python looks at each file that it opens: light_opens.py. */
    bool pinned;  /* To the recorder's processor: cpu_affinity.py. */
    bool in_call; /* In one of which these are the arguments. */
    bool executes; /* It is an execve, not an open. */
    bool is_empty; /* The path that was read last: it is about a descriptor, AT_EMPTY_PATH. */
    int start, flags;
    uint64_t argv;
    uint32_t asked; /* Where `ask` has noted the path; 0: nowhere. */
    size_t size; /* Of the path. */
    char path[READ_SIZE];
};
enum { UNKNOWN = -1 };

struct thread *find_thread(int tid);
void drop_threads(void);
void resume_call(int tid);
void resume(int tid);

/* ---- paths.c: what a thread asks for, and what the kernel says of it ---- */
struct text {
    size_t size;
    char bytes[PATH_SIZE];
};

/* Reads the path at `address`. False where Python has to look: it is long, empty, not mapped, in /proc, `/`, or in a
   folder in whose place the script has one of its own. */
bool read_path(struct thread *thread, uint64_t address);
/* Reads one that is only looked at. False where Python has to look: it is long, empty, not mapped, or in such a folder. */
bool read_looked_at(struct thread *thread, uint64_t address);
void forget_folders(void);
/* Reads the link of an open file, or of the directory that relative paths start from. False where Python has to look:
   it is no path, was deleted, is too long, or lies in /proc. */
bool read_descriptor(int tid, uint32_t number, struct text *found);
bool read_start(const struct thread *thread, struct text *found);
/* Tells what an open file is. False where that cannot be told. */
struct stat;
bool stat_descriptor(int tid, uint32_t number, struct stat *found);
/* Tells whether a path may be of the system's, for which one stop is enough: light_opens.py. */
bool is_of_system(const struct thread *thread);
/* Tells whether a path means another file in each process: in /proc, or an alias of such in /dev. */
bool is_own(const struct text *start, const struct thread *thread);

/* ---- shown.c: what a script is shown, and what it only looks at: look_calls.py ---- */
void drop_shown(void);
/* Tells whether a look may be at something that is there and not shown. In doubt it does: Python then looks itself. */
bool may_be_concealed(const struct thread *thread, bool follows);

/* ---- repeats.c: what has been recorded, and how often it has happened since ---- */
struct repeat {
    int chain, executes, flags, error;
    const struct text *start, *found; /* NULL where they do not matter. */
    const struct thread *thread;      /* Of which the path is. */
};
/* Counts one that is known. Makes one that is not the one that is remembered next. */
bool count_repeat(const struct repeat *repeat);
/* Remembers the last one that was looked for and not known. Returns its index; -1: there is no room. */
int remember(void);
/* Forgets all. False: there is no memory for any. */
bool restart_repeats(void);

/* ---- news.c: what has happened for the first time, and needs no look of Python's ---- */
/* Notes the last one that was looked for and not known, and counts what repeats it. False where Python has to look: there
   is no room, or the path is not written as the recording has it. */
bool note_news(const struct repeat *repeat);
void forget_news(void);

/* ---- asked.c: every path that is asked for, where all are collected: asked_paths.py ---- */
enum asked_how { OPENED = 1, LOOKED = 2, EXECUTED = 4, READ_LINK = 8 };
/* Notes the path of a thread, which is about to ask for it. False where Python has to: there is no room, or it means
   something else in each process. */
bool ask(struct thread *thread);
/* Notes how the path was asked for that was noted last. */
void note_asked(const struct thread *thread, enum asked_how how);
void forget_asked(void);

#endif
