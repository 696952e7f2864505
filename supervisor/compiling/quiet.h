/* Hosts of macros that have no supervisor of their own yet: see quiet.c. */
#ifndef BUILDPERM_QUIET_H
#define BUILDPERM_QUIET_H

#include "launcher.h"

/* Returns a connection on which it is said, in a line, how the host has ended; -1: a supervisor has to start it. `data`:
   the request, as a supervisor would get it. `server`: the folder of the fork server. */
int quiet_start(const char *server, const char *data, size_t size, int bridge);
int quiet_descriptor(void);      /* Can be read when there is something to do; -1: there never is. */
void quiet_answer(void);
bool quiet_has(pid_t pid);       /* Whether it is the process of a host. */
void quiet_forget(int connection); /* It is about to be closed. */
void quiet_end(int patience_ms); /* Until all hosts have ended, or are with a supervisor; those that do not end are killed. */

#endif
