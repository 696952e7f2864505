/* What Python has recorded, and how often it has happened since. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#ifndef MOST_REPEATS
#define MOST_REPEATS (1 << 17) /* A script can ask for one file in as many ways as it likes. */
#endif

enum {
    SLOTS = 2 * MOST_REPEATS,
    MOST_BYTES = 32 << 20, /* Of their texts. */
    KEY_SIZE = 4 * sizeof(int) + 2 * (PATH_SIZE + 1) + READ_SIZE,
};

struct entry {
    uint64_t hash;
    unsigned char *key; /* NULL: free. */
    uint32_t size, index;
};

static struct entry *entries; /* Open addressing. */
static uint64_t *counts;      /* By the index of an entry, in the order in which they were remembered. */
static size_t used, bytes_used;
static uint64_t seed; /* So that nobody can choose paths that all have one place. */

static unsigned char key[KEY_SIZE]; /* Of the last one that was looked for. */
static size_t key_size;
static uint64_t key_hash;
static struct entry *key_place; /* Where it belongs; NULL: it is known, or has been remembered. */

static void add(const void *bytes, size_t size) {
    memcpy(key + key_size, bytes, size);
    key_size += size;
}

/* The three texts are told apart by the NUL after each, which no path has. */
static void make_key(const struct repeat *repeat) {
    key_size = 0;
    add(&repeat->chain, sizeof repeat->chain);
    add(&repeat->executes, sizeof repeat->executes);
    add(&repeat->flags, sizeof repeat->flags);
    add(&repeat->error, sizeof repeat->error);
    if (repeat->start) add(repeat->start->bytes, repeat->start->size);
    add("", 1);
    add(repeat->thread->path, repeat->thread->size);
    add("", 1);
    if (repeat->found) add(repeat->found->bytes, repeat->found->size);
    uint64_t hash = seed ^ key_size;
    size_t at = 0;
    for (uint64_t word; at + sizeof word <= key_size; at += sizeof word) {
        memcpy(&word, key + at, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    for (; at < key_size; at++) hash = (hash ^ key[at]) * 0x9e3779b97f4a7c15u;
    key_hash = hash ^ hash >> 32;
}

bool count_repeat(const struct repeat *repeat) {
    make_key(repeat);
    key_place = NULL;
    struct entry *entry = entries + key_hash % SLOTS;
    while (entry->key) {
        if (entry->hash == key_hash && entry->size == key_size && !memcmp(entry->key, key, key_size)) {
            counts[entry->index]++;
            return true;
        }
        if (++entry == entries + SLOTS) entry = entries;
    }
    key_place = entry;
    return false;
}

EXPORTED int remember(void) {
    if (!key_place || used >= MOST_REPEATS || bytes_used + key_size > MOST_BYTES) return -1;
    unsigned char *kept = malloc(key_size);
    if (!kept) return -1;
    memcpy(kept, key, key_size);
    *key_place = (struct entry){key_hash, kept, (uint32_t)key_size, (uint32_t)used};
    key_place = NULL;
    bytes_used += key_size;
    return (int)used++;
}

EXPORTED const uint64_t *repeat_counts(void) { return counts; }

bool restart_repeats(void) {
    if (!entries) {
        entries = calloc(SLOTS, sizeof *entries); /* Pages of zeros cost nothing until they are used. */
        counts = calloc(MOST_REPEATS, sizeof *counts);
        if (!entries || !counts) return false;
    }
    for (size_t i = 0; used && i < SLOTS; i++) free(entries[i].key), entries[i].key = NULL;
    for (size_t i = 0; i < used; i++) counts[i] = 0;
    used = bytes_used = 0;
    key_place = NULL;
    return getrandom(&seed, sizeof seed, 0) == sizeof seed;
}
