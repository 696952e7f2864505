/* Reads paths: from the memory of a thread, and the kernel's own in /proc. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 }; /* Or more: to split at such a boundary is never wrong. */

static bool begins(const char *bytes, size_t size, const char *with) {
    size_t length = strlen(with);
    return size >= length && !memcmp(bytes, with, length);
}

static bool ends(const char *bytes, size_t size, const char *with) {
    size_t length = strlen(with);
    return size >= length && !memcmp(bytes + size - length, with, length);
}

enum { MOST_FOLDERS = 4, MOST_VISIBLE = 64, NAME_SIZE = 1024 };

/* Folders of everybody in whose place the script has its own: own_folders.py. */
static struct name {
    size_t size;
    char bytes[NAME_SIZE];
} folders[MOST_FOLDERS], visible[MOST_VISIBLE];
static size_t folder_count, visible_count;

void forget_folders(void) { folder_count = visible_count = 0; }

static void add_name(struct name *names, size_t *count, size_t most, const char *bytes, size_t size) {
    if (*count >= most || size > NAME_SIZE) return;
    memcpy(names[*count].bytes, bytes, size);
    names[(*count)++].size = size;
}

EXPORTED void add_own_folder(const char *bytes, size_t size) { add_name(folders, &folder_count, MOST_FOLDERS, bytes, size); }

/* What is in such a folder and is the machine's, as Python has found out. */
EXPORTED void add_visible(const char *bytes, size_t size) { add_name(visible, &visible_count, MOST_VISIBLE, bytes, size); }

/* Tells whether a path is that of a folder, or of something in it. */
static bool is_in(const struct name *folder, const char *path, size_t size) {
    size_t length = folder->size;
    bool is_there = size >= length && !memcmp(path, folder->bytes, length);
    return is_there && (size == length || path[length] == '/');
}

/* Tells whether what is visible in this folder, one of those that lie in one another, is the path or above it. */
static bool is_visible(const struct name *folder, const char *path, size_t size) {
    for (size_t at = 0; at < visible_count; at++) {
        if (is_in(folder, visible[at].bytes, visible[at].size) && is_in(&visible[at], path, size)) return true;
    }
    return false;
}

/* Tells whether Python has to say whose a path is. It does so for each that is written in an unusual way. */
static bool may_be_own(const char *path, size_t size) {
    if (size < 2 || path[0] != '/') return false;
    if (path[1] == '/' || path[1] == '.') return true;
    bool is_led = memmem(path, size, "/..", 3);
    for (size_t at = 0; at < folder_count; at++) {
        if (is_in(&folders[at], path, size) && (is_led || !is_visible(&folders[at], path, size))) return true;
    }
    return false;
}

static bool read_any_path(struct thread *thread, uint64_t address) {
    /* process_vm_readv(2), RETURN VALUE: a partial transfer never splits a piece; the second page may not be mapped. */
    size_t first = PAGE - address % PAGE;
    if (first > READ_SIZE) first = READ_SIZE;
    struct iovec local = {thread->path, READ_SIZE};
    struct iovec remote[2] = {
        {(void *)(uintptr_t)address, first},
        {(void *)(uintptr_t)(address + first), READ_SIZE - first},
    };
    ssize_t got = process_vm_readv(thread->tid, &local, 1, remote, first < READ_SIZE ? 2 : 1, 0);
    thread->is_empty = got > 0 && !thread->path[0];
    if (got <= 0) return false;
    const char *end = memchr(thread->path, 0, (size_t)got);
    if (!end || end == thread->path) return false;
    thread->size = (size_t)(end - thread->path);
    return true;
}

bool read_looked_at(struct thread *thread, uint64_t address) {
    return read_any_path(thread, address) && !may_be_own(thread->path, thread->size);
}

/* Tells whether a path, which is not empty, is `/`, however many there are: root_folder.py. */
static bool is_root(const char *path, size_t size) {
    while (size && path[size - 1] == '/') size--;
    return !size;
}

bool read_path(struct thread *thread, uint64_t address) {
    return read_looked_at(thread, address) && !begins(thread->path, thread->size, "/proc/") &&
           !is_root(thread->path, thread->size);
}

bool is_of_system(const struct thread *thread) {
    const char *path = thread->path;
    size_t size = thread->size;
    return (begins(path, size, "/usr/") && !begins(path, size, "/usr/local/")) || begins(path, size, "/etc/") ||
           begins(path, size, "/lib");
}

static bool read_link(const char *link, struct text *found) {
    ssize_t got = readlink(link, found->bytes, sizeof found->bytes);
    if (got <= 0 || (size_t)got >= sizeof found->bytes || found->bytes[0] != '/') return false;
    found->size = (size_t)got;
    return !ends(found->bytes, found->size, " (deleted)") && !begins(found->bytes, found->size, "/proc/");
}

bool read_descriptor(int tid, uint32_t number, struct text *found) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%u", tid, number);
    return read_link(link, found);
}

bool stat_descriptor(int tid, uint32_t number, struct stat *found) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%u", tid, number);
    return !stat(link, found);
}

bool read_start(const struct thread *thread, struct text *found) {
    if (thread->start != AT_FDCWD) return read_descriptor(thread->tid, (uint32_t)thread->start, found);
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/cwd", thread->tid);
    return read_link(link, found);
}

/* Skips what means nothing in a path: `/`, `./`. */
static const char *skipped(const char *at, const char *end) {
    for (;;) {
        if (at < end && *at == '/') at++;
        else if (at + 1 < end && at[0] == '.' && at[1] == '/') at += 2;
        else return at;
    }
}

bool is_own(const struct text *start, const struct thread *thread) {
    const char *end = thread->path + thread->size, *at = skipped(thread->path, end);
    if (start) {
        const char *start_end = start->bytes + start->size, *start_at = skipped(start->bytes, start_end);
        if (start_at < start_end) at = start_at, end = start_end;
    }
    const char *slash = memchr(at, '/', (size_t)(end - at));
    size_t size = (size_t)((slash ? slash : end) - at);
    return (size == 4 && !memcmp(at, "proc", size)) || (size == 3 && !memcmp(at, "dev", size));
}
