/* What the parts of the starter have of each other. */
#ifndef ROOM_H
#define ROOM_H

/* Tells the supervisor what has failed, and ends; `error` is -errno. */
_Noreturn void fail(const char *what, long error);

/* Returns `result`, unless it is -errno. */
long checked(const char *what, long result);

/* Puts what returns from it into namespaces of its own, as the words say. */
void room_enter(const char **words);

#endif
