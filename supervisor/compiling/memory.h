/* The memory of another process: see memory.c. */
#ifndef BUILDPERM_MEMORY_H
#define BUILDPERM_MEMORY_H

#include "launcher.h"

/* Returns how many bytes were read, perhaps fewer; -1 and errno where none were. */
ssize_t memory_read(pid_t pid, uint64_t address, void *to, size_t size);

#endif
