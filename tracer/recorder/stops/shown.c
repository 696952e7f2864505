/* What a script is shown of the file system, and whether a look is at something else: look_calls.py. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUCKETS = 1 << 10 };
enum how { NOTHING, WHOLE, ITSELF, CLOSED }; /* As in look_calls.py. */

struct shown {
    struct shown *next; /* In its bucket. */
    uint64_t hash;
    size_t size;
    enum how how;
    char path[];
};

static struct shown *buckets[BUCKETS];

static uint64_t hashed(uint64_t hash, char byte) { return (hash ^ (unsigned char)byte) * 0x100000001b3u; }
static const uint64_t START = 0xcbf29ce484222325u; /* FNV-1a: the paths are the sandbox's own. */

static enum how how_shown(const char *path, size_t size, uint64_t hash) {
    for (const struct shown *each = buckets[hash % BUCKETS]; each; each = each->next) {
        if (each->hash == hash && each->size == size && !memcmp(each->path, path, size)) return each->how;
    }
    return NOTHING;
}

/* What is not kept for want of memory counts as not shown: Python looks itself. */
EXPORTED void add_shown(const char *path, size_t size, int how) {
    uint64_t hash = START;
    for (size_t i = 0; i < size; i++) hash = hashed(hash, path[i]);
    struct shown *made = malloc(sizeof *made + size);
    if (!made) return;
    *made = (struct shown){buckets[hash % BUCKETS], hash, size, (enum how)how};
    memcpy(made->path, path, size);
    buckets[hash % BUCKETS] = made;
}

void drop_shown(void) {
    for (size_t i = 0; i < BUCKETS; i++) {
        while (buckets[i]) {
            struct shown *first = buckets[i];
            buckets[i] = first->next;
            free(first);
        }
    }
}

/* Tells whether what is at a path can be seen; the nearest folder above that is known decides: bubblewrap.py. */
static bool is_shown(const struct text *path) {
    enum how above = how_shown("/", 1, hashed(START, '/'));
    if (path->size == 1) return above == WHOLE || above == ITSELF;
    uint64_t hash = START;
    for (size_t i = 0; i < path->size; i++) {
        if (i && path->bytes[i] == '/') {
            enum how how = how_shown(path->bytes, i, hash);
            if (how == WHOLE || how == CLOSED) above = how;
        }
        hash = hashed(hash, path->bytes[i]);
    }
    enum how how = how_shown(path->bytes, path->size, hash);
    return how == NOTHING ? above == WHOLE : how != CLOSED;
}

/* Leaves out `.` and empty names. False where there is a `..`: where it leads depends on links. */
static bool tidy(const struct text *from, struct text *path) {
    path->size = 0;
    for (size_t at = 0; at < from->size;) {
        while (at < from->size && from->bytes[at] == '/') at++;
        size_t end = at;
        while (end < from->size && from->bytes[end] != '/') end++;
        size_t length = end - at;
        if (length == 2 && !memcmp(from->bytes + at, "..", 2)) return false;
        if (length && !(length == 1 && from->bytes[at] == '.')) {
            path->bytes[path->size++] = '/';
            memcpy(path->bytes + path->size, from->bytes + at, length);
            path->size += length;
        }
        at = end;
    }
    if (!path->size) path->bytes[path->size++] = '/';
    return true;
}

static bool is_absent(int error) { return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP; }

bool may_be_concealed(const struct thread *thread, bool follows) {
    static struct text wanted, tidied, real;
    wanted.size = 0;
    if (thread->path[0] != '/') {
        if (!read_start(thread, &wanted)) return true;
        if (wanted.size + 1 + thread->size >= PATH_SIZE) return true;
        wanted.bytes[wanted.size++] = '/';
    }
    memcpy(wanted.bytes + wanted.size, thread->path, thread->size);
    wanted.size += thread->size;
    wanted.bytes[wanted.size] = 0;
    /* Links in /proc/PID that lead on are for Python; all else there is another /proc. */
    if (wanted.size > 6 && !memcmp(wanted.bytes, "/proc/", 6)) {
        return strstr(wanted.bytes, "/root/") || strstr(wanted.bytes, "/cwd/");
    }
    int file = open(wanted.bytes, O_PATH | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW));
    if (file < 0) return !is_absent(errno);
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t got = readlink(link, real.bytes, sizeof real.bytes);
    close(file);
    if (got <= 0 || (size_t)got >= sizeof real.bytes) return true;
    real.size = (size_t)got;
    if (!is_shown(&real)) return true;
    return tidy(&wanted, &tidied) && !is_shown(&tidied);
}
