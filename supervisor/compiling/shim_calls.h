/* What macros ask of the compiler while they run. */
#ifndef BUILDPERM_SHIM_CALLS_H
#define BUILDPERM_SHIM_CALLS_H

#include "bridge.h"

/* One expansion. */
struct calls {
    struct config *config;   /* As the compiler gave it. */
    const char *name;        /* Of the crate of macros. */
    struct bridge bridge;
    struct frame head;
    struct buffer said;      /* The host's frame: ours, so that what is checked stays as it is. */
    struct buffer b;         /* Goes to the compiler and comes back; perhaps a buffer of Rust's. */
};

uint32_t calls_next(void);   /* The handle that is given next; 0: who knows. */

/* Answers until the host says something else than a call; `b` is then what it said. Returns 0, or -1 where it has ended, or
   has answered its macros what the compiler does not: then `why` is a clause. */
int calls_serve(struct calls *calls, const char **why);

#endif
