/* What the shim asks of the launcher. */
#ifndef BUILDPERM_SHIM_REQUESTS_H
#define BUILDPERM_SHIM_REQUESTS_H

#include "bridge.h"

/* A digest of folder and environment, for a server; 0 for a compiler, which has but one place. */
uint64_t requests_place(void);
/* Whether the launcher has kept the table of a library, which is left in `b`; and have it kept. */
int requests_table(const char *library, struct buffer *b);
void requests_keep(const char *library, const struct buffer *table);
/* A new host for the place of now, at the other end of `theirs`. Returns 0, or -1. */
int requests_host(const char *library, int theirs);

#endif
