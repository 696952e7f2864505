/* Where a path of a held process leads: see places.c. */
#ifndef BUILDPERM_PLACES_H
#define BUILDPERM_PLACES_H

#include "launcher.h"

#include <limits.h>

enum place_kind {
    OUTSIDE,    /* Landlock alone decides, or nobody's: not what the broker is for. */
    OWN_TREE,   /* In a folder of this call alone, which Landlock lets it write. */
    OWN_FILE,   /* One of this call's outputs, in a folder that it shares with others. */
    TEMPORARY,  /* In a folder that this call has made among the outputs of others. */
    TOP,        /* That folder itself. */
};

struct place {
    enum place_kind kind;
    int folder;               /* What the name is in; opened for this place, -1 for none. */
    char name[NAME_MAX + 1];
    char path[PATH_MAX];      /* As far as it is known, for reports. */
};

void places_begin(const struct unit *unit, const struct call *call);
/* Returns 0, or an errno. `start`: the descriptor that a relative path begins at, or AT_FDCWD. */
int place_find(struct place *place, pid_t pid, int start, const char *path);
int place_of_descriptor(struct place *place, int handle);
void place_close(struct place *place);
bool place_may_be_made(const struct place *place); /* As a temporary folder among the outputs of others. */
void place_made(const struct place *place);
void place_removed(const struct place *place);

#endif
