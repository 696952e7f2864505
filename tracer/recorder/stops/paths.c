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

bool read_any_path(struct thread *thread, uint64_t address) {
    /* process_vm_readv(2), RETURN VALUE: a partial transfer never splits a piece; the second page may not be mapped. */
    size_t first = PAGE - address % PAGE;
    if (first > READ_SIZE) first = READ_SIZE;
    struct iovec local = {thread->path, READ_SIZE};
    struct iovec remote[2] = {
        {(void *)(uintptr_t)address, first},
        {(void *)(uintptr_t)(address + first), READ_SIZE - first},
    };
    ssize_t got = process_vm_readv(thread->tid, &local, 1, remote, first < READ_SIZE ? 2 : 1, 0);
    if (got <= 0) return false;
    const char *end = memchr(thread->path, 0, (size_t)got);
    if (!end || end == thread->path) return false;
    thread->size = (size_t)(end - thread->path);
    return true;
}

bool read_path(struct thread *thread, uint64_t address) {
    return read_any_path(thread, address) && !begins(thread->path, thread->size, "/proc/") &&
           !begins(thread->path, thread->size, "/dev/shm/");
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
