/* Every path that a run asks for, and how: asked_paths.py says what for. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    FIRST_SLOTS = 1 << 12,
    MOST_ASKED = 1 << 19,
    MOST_BYTES = 64 << 20, /* Of their texts: a script can ask for as many paths as it likes. */
    ALIGNED = 4,
};

/* As `_ASKED` in inner_loop.py has it; the text follows, filled up to a multiple of ALIGNED. */
struct asked {
    uint32_t how, size;
    char path[];
};

struct slot {
    uint64_t hash;
    uint32_t place; /* In `bytes`, and 1; 0: free. */
};

static struct slot *slots; /* Open addressing; at most half of them are used. */
static size_t slot_count, asked_count;
static char *bytes;
static size_t room, used;
static uint64_t seed; /* So that nobody can choose paths that all have one place. */

static struct asked *asked_at(uint32_t place) { return (struct asked *)(void *)(bytes + place - 1); }

void forget_asked(void) {
    free(slots), free(bytes);
    slots = NULL, bytes = NULL;
    slot_count = asked_count = room = used = 0;
}

/* Returns where the paths are; `size_of_asked` says how many bytes they take. */
EXPORTED const void *all_asked(void) { return bytes; }

EXPORTED uint64_t size_of_asked(void) { return used; }

static uint64_t hashed(const char *path, size_t size) {
    uint64_t hash = seed ^ size;
    for (size_t at = 0; at < size; at++) {
        hash = (hash ^ (unsigned char)path[at]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}

static bool has_more_slots(void) {
    size_t wanted = slot_count ? 2 * slot_count : FIRST_SLOTS;
    struct slot *made = calloc(wanted, sizeof *made);
    if (!made) return false;
    if (!slot_count && getrandom(&seed, sizeof seed, 0) != sizeof seed) return free(made), false;
    for (size_t i = 0; i < slot_count; i++) {
        if (!slots[i].place) continue;
        size_t to = slots[i].hash % wanted;
        while (made[to].place) to = (to + 1) % wanted;
        made[to] = slots[i];
    }
    free(slots);
    slots = made, slot_count = wanted;
    return true;
}

static bool has_room(size_t needed) {
    if (room - used >= needed) return true;
    size_t wanted = room ? 2 * room : PATH_SIZE << 6;
    if (wanted > MOST_BYTES) return false;
    char *made = realloc(bytes, wanted);
    if (!made) return false;
    bytes = made, room = wanted;
    return true;
}

/* Returns the place of a path, which is that of a new one if it is not known; 0: there is no room. */
static uint32_t place_of(const char *path, size_t size) {
    if (2 * asked_count >= slot_count && !has_more_slots()) return 0;
    uint64_t hash = hashed(path, size);
    size_t at = hash % slot_count;
    for (; slots[at].place; at = (at + 1) % slot_count) {
        const struct asked *known = asked_at(slots[at].place);
        if (slots[at].hash == hash && known->size == size && !memcmp(known->path, path, size)) return slots[at].place;
    }
    size_t needed = sizeof(struct asked) + (size + ALIGNED - 1) / ALIGNED * ALIGNED;
    if (asked_count >= MOST_ASKED || !has_room(needed)) return 0;
    struct asked *made = (struct asked *)(void *)(bytes + used);
    made->how = 0, made->size = (uint32_t)size;
    memcpy(made->path, path, size);
    slots[at] = (struct slot){hash, (uint32_t)used + 1};
    used += needed, asked_count++;
    return slots[at].place;
}

bool ask(struct thread *thread) {
    static struct text from;
    static char path[PATH_SIZE + 1 + READ_SIZE];
    size_t size = 0;
    bool is_relative = thread->path[0] != '/';
    if (is_relative && !read_start(thread, &from)) return false;
    if (is_own(is_relative ? &from : NULL, thread)) return false; /* It means something else to Python. */
    if (is_relative) {
        memcpy(path, from.bytes, size = from.size);
        path[size++] = '/';
    }
    memcpy(path + size, thread->path, thread->size);
    thread->asked = place_of(path, size + thread->size);
    return thread->asked != 0;
}

void note_asked(const struct thread *thread, enum asked_how how) {
    if (thread->asked) asked_at(thread->asked)->how |= (uint32_t)how;
}
