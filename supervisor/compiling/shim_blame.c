/* Says whose macros they were where rustc breaks off over them, which it does not say itself.

   A process of macros may ask for what cannot be asked for: then rustc aborts in the midst of its answer. Or it ends an
   expansion with a result that there is not: then rustc ends with an internal error, status 101. */
#define _GNU_SOURCE
#include "shim.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PANICKED = 101, NAME_MOST = 256 };

static __thread const char *serving;
#ifdef __GLIBC__
static char served[NAME_MOST + 1]; /* Last. A copy: libraries are closed. */
#endif

static void say(const char *sentence, const char *name)
{
    char text[512];
    int size = snprintf(text, sizeof text, sentence, NAME_MOST, name);
    if (write(STDERR_FILENO, text, (size_t)size) < 0)
        return;
}

const char *shim_serving(const char *name)
{
    const char *before = serving;
    serving = name;
    return before;
}

#ifdef __GLIBC__ /* No other library tells what the status is where main() has returned it. */
static void ended(int status, void *unused)
{
    (void)unused;
    if (status == PANICKED)
        say("buildperm: the macros that ran last are those of `%.*s`; a process that lies to rustc makes it fail so\n", served);
}

void shim_served(const char *name)
{
    static int is_begun;
    if (!__atomic_exchange_n(&is_begun, 1, __ATOMIC_RELAXED))
        on_exit(ended, 0);
    snprintf(served, sizeof served, "%s", name);
}
#else
void shim_served(const char *name)
{
    (void)name;
}
#endif

__attribute__((visibility("default"), noreturn)) void abort(void)
{
    void (*real)(void) = (void (*)(void))shim_function("abort");
    if (serving)
        say("buildperm: rustc broke off over what the process for the macros of `%.*s` asked for\n", serving);
    if (real)
        real();
    _exit(128 + SIGABRT);
}
