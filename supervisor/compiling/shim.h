/* What the parts of the shim share. */
#ifndef BUILDPERM_SHIM_H
#define BUILDPERM_SHIM_H

#include "bridge.h"
#include <stddef.h>
#include <stdint.h>

enum {
    SHIM_FOR_CHILDREN = 1, /* rustdoc has rustc compile its tests: the shim goes on to what is started. */
    SHIM_SERVER = 2,       /* rust-analyzer's server: folder and environment are others for each crate. */
    SHIM_INSIDE = 4,       /* Macros run in the compiler. Only what it is refused is told. */
    SHIM_TELLS_CALLS = 8,  /* What macros ask of the compiler is told, for the test of a tool chain. */
    WORDS_MOST = 128 << 10,
};

struct shim {
    void *(*dlopen)(const char *, int);
    void *(*dlsym)(void *, const char *);
    int (*dlclose)(void *);
    int control;         /* To the launcher; -1 without one. */
    unsigned layout;     /* enum layout */
    unsigned flags;      /* SHIM_… */
    struct foreseen foreseen;
    char sysroot[4096];  /* With a slash at its end; empty where it is not known. */
    char **environment;  /* As it was at the start. For a server only. */
};
extern struct shim shim;

/* shim.c: says to the launcher what stands in `words`, each with its NUL, and passes on a descriptor (or -1). */
int shim_say(const void *words, size_t size, int fd);
const char *shim_variable(const char *name);
void *shim_function(const char *name); /* What it would be without the shim. */

/* shim_symbols.c: a function of another library that is loaded, found without dlsym(), which is ours. */
const void *symbols_find(const char *name);

/* shim_blame.c: whose process the compiler serves in this thread (0: nobody's), and was before; and that it is answered. */
const char *shim_serving(const char *name);
void shim_served(const char *name);

/* shim_hosts.c */
void *hosts_open(const char *path);
int hosts_know(void *handle);
void hosts_close(void *handle);
/* The declarations of a library of macros, or 0 and why there are none. */
void *hosts_symbol(void *handle, const char *name, const char **why);

#endif
