/* Functions for as many macros as there may be. */
#ifndef BUILDPERM_ENTRIES_H
#define BUILDPERM_ENTRIES_H

#include "bridge.h"

/* `run` is called with nothing that would say which macro is meant, so each gets an entry: a function of its own, which calls
   hosts_forward() with its number. Numbers are taken for the macros of a library, and given back. */
size_t *entries_take(void *library, size_t count); /* Or 0 */
void entries_free(size_t *numbers, size_t count);
void *entries_find(uint64_t number, size_t *index); /* The library, and which macro of it. */
struct client entries_client(size_t number);

enum { COUNTERS = 128 }; /* In what libraries show as their HandleCounters. */
uint32_t entries_count(unsigned counter);

/* shim_hosts.c */
__attribute__((used, visibility("hidden"))) struct buffer hosts_forward(struct config config, uint64_t number);

#endif
