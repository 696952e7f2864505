/* Loaded into rustc, rustdoc, clippy-driver and rust-analyzer's server (LD_PRELOAD): keeps procedural macros out of them.

   What the compiler opens as a library of procedural macros is not opened there, but in a process of its own, which is
   confined: the compiler sees a table of macros as usual, and each one's `run` passes everything on (shim_hosts.c).
   Besides, what the compiler itself was refused is told: files, and variables that were withheld.

   BUILDPERM_SHIM="CONTROL LAYOUT FLAGS FORESEEN NAME…" comes from the launcher: the descriptor of a SOCK_SEQPACKET socket to
   it, how a table looks (enum layout), flags (SHIM_…) as a number, `struct foreseen` in hexadecimal or `0`, and the names of
   withheld variables. What is said on the socket, one message each, every word with a NUL behind it:

     ready                                  the shim is in a compiler; only what it sees is held
     refused read|write PATH                the path is absolute
     asked env NAME
     host LIBRARY CONSUMER OUT_DIR CWD [NAME=VALUE …]   with the host's end of a bridge
     table? LIBRARY                         with a socket for the answer: `table BYTES`, or `none`
     table LIBRARY BYTES
     called CALL ANSWER COUNTER             with SHIM_TELLS_CALLS (shim_calls.c)

   No part of buildperm trusts it: it only sees to it that rustc works, and is told what happens. */
#define _GNU_SOURCE
#include "shim.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

struct shim shim = {.control = -1};
static DIR *(*real_opendir)(const char *);
static char *(*real_getenv)(const char *);
static char *withheld; /* Names, each with a NUL behind it, and one more. */
static int is_compiler;

/* Other libraries' constructors may call us before ours has run. */
static void find_functions(void)
{
    void *(*find)(void *, const char *) = (void *(*)(void *, const char *))(uintptr_t)symbols_find("dlsym");
    if (!find) { /* Then macros would run in the compiler. Our own abort() would look for the real one. */
        kill(getpid(), SIGABRT);
        _exit(1);
    }
    shim.dlopen = (void *(*)(const char *, int))find(RTLD_NEXT, "dlopen");
    shim.dlclose = (int (*)(void *))find(RTLD_NEXT, "dlclose");
    real_opendir = (DIR * (*)(const char *)) find(RTLD_NEXT, "opendir");
    real_getenv = (char *(*)(const char *))find(RTLD_NEXT, "getenv");
    __atomic_store_n(&shim.dlsym, find, __ATOMIC_RELEASE);
}

static void ready(void)
{
    if (!__atomic_load_n(&shim.dlsym, __ATOMIC_ACQUIRE))
        find_functions();
}

void *shim_function(const char *name)
{
    ready();
    return shim.dlsym(RTLD_NEXT, name);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int is_driver(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    return !strncmp(last_part(info->dlpi_name), "librustc_driver", strlen("librustc_driver"));
}

/* SYSROOT/bin/rustc, SYSROOT/libexec/rust-analyzer-proc-macro-srv. Others are shells, or rustup's stand-ins. */
static void find_sysroot(void)
{
    static const char server[] = "rust-analyzer";
    ssize_t size = readlink("/proc/self/exe", shim.sysroot, sizeof shim.sysroot - 1);
    shim.sysroot[size > 0 ? size : 0] = 0;
    is_compiler = dl_iterate_phdr(is_driver, 0)
        || ((shim.flags & SHIM_SERVER) && !strncmp(last_part(shim.sysroot), server, strlen(server)));
    for (int up = 2; up; up--) {
        char *slash = strrchr(shim.sysroot, '/');
        if (slash)
            slash[up == 1] = 0;
        else
            shim.sysroot[0] = 0;
    }
}

static void keep_environment(void)
{
    size_t count = 0;
    while (environ[count])
        count++;
    if ((shim.environment = calloc(count + 1, sizeof *shim.environment)))
        memcpy(shim.environment, environ, count * sizeof *environ);
}

/* One word. Nothing is foreseen where it is no `struct foreseen`, and for a server, which may not be of this tool chain. */
static char *read_foreseen(char *at)
{
    uint8_t bytes[sizeof shim.foreseen];
    size_t size = strcspn(at += strspn(at, " "), " "), count = 0;
    if (size == 2 * sizeof bytes)
        while (count < sizeof bytes && sscanf(at + 2 * count, "%2hhx", bytes + count) == 1)
            count++;
    if (count == sizeof bytes && *bytes <= sizeof shim.foreseen.drop && !(shim.flags & SHIM_SERVER))
        memcpy(&shim.foreseen, bytes, sizeof bytes);
    return at + size;
}

__attribute__((constructor)) static void begin(void)
{
    ready();
    char *at = (char *)(uintptr_t)shim_variable("BUILDPERM_SHIM");
    if (!*at)
        return;
    shim.control = (int)strtol(at, &at, 10);
    shim.layout = (unsigned)strtoul(at, &at, 10);
    shim.flags = (unsigned)strtoul(at, &at, 10);
    at = read_foreseen(at);
    find_sysroot();
    if (!is_compiler)
        return; /* Then its child may be one. */
    if (*at == ' ')
        withheld = strdup(at + 1);
    if (!(shim.flags & SHIM_FOR_CHILDREN)) {
        unsetenv("BUILDPERM_SHIM");
        unsetenv("LD_PRELOAD");
        fcntl(shim.control, F_SETFD, FD_CLOEXEC);
    }
    if (shim.flags & SHIM_SERVER)
        keep_environment();
    for (char *space = withheld; space && *space; space++)
        *space = *space == ' ' ? 0 : *space;
    shim_say("ready", sizeof "ready", -1);
}

int shim_say(const void *words, size_t size, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec text = {(void *)(uintptr_t)words, size};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (shim.control < 0 || !is_compiler)
        return -1;
    if (fd >= 0) {
        message.msg_control = control.bytes, message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *first = CMSG_FIRSTHDR(&message);
        first->cmsg_len = CMSG_LEN(sizeof fd), first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(first), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(shim.control, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* ---- What the compiler was refused. May run in a signal handler, or between fork and exec. ---- */

static size_t append(char *words, size_t at, size_t most, const char *text)
{
    size_t size = strlen(text) + 1;
    if (at == 0 || size > most - at)
        return 0; /* Nothing fits any more. */
    memcpy(words + at, text, size);
    return at + size;
}

static void tell_refused(const char *what, int folder, const char *path)
{
    char words[16 + 2 * 4096], link[32];
    int failed = errno;
    size_t at = sizeof "refused";
    memcpy(words, "refused", at);
    at = append(words, at, sizeof words, what);
    if (*path != '/' && at) {
        ssize_t size;
        if (folder == AT_FDCWD)
            size = syscall(SYS_getcwd, words + at, 4096) - 1;
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            size = readlink(link, words + at, 4096);
        }
        if (size > 0)
            at += (size_t)size, words[at++] = '/';
    }
    if ((at = append(words, at, sizeof words, path)))
        shim_say(words, at, -1);
    errno = failed;
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd < 0 && errno == EACCES && path && is_compiler) {
        int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
        tell_refused(writes ? "write" : "read", folder, path);
    }
    return fd;
}

#define MODE(flags, mode)                                           \
    mode_t mode = 0;                                                \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {  \
        va_list more;                                               \
        va_start(more, flags);                                      \
        mode = va_arg(more, mode_t);                                \
        va_end(more);                                               \
    }

PUBLIC int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

#ifdef __GLIBC__ /* Elsewhere they are others' names of the same. */
PUBLIC int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

PUBLIC int openat64(int folder, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(folder, path, flags | O_LARGEFILE, mode);
}
#endif

PUBLIC int openat(int folder, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return open_at(folder, path, flags, mode);
}

PUBLIC DIR *opendir(const char *path)
{
    ready();
    DIR *found = real_opendir(path);
    if (!found && errno == EACCES && is_compiler)
        tell_refused("read", AT_FDCWD, path);
    return found;
}

static int is_withheld(const char *name)
{
    for (const char *each = withheld; each && *each; each += strlen(each) + 1)
        if (!strcmp(each, name))
            return 1;
    return 0;
}

PUBLIC char *getenv(const char *name)
{
    if (is_compiler && is_withheld(name)) {
        char words[sizeof "asked\0env" + 1024];
        size_t size = sizeof "asked\0env";
        memcpy(words, "asked\0env", size);
        if ((size = append(words, size, sizeof words, name)))
            shim_say(words, size, -1);
    }
    if (__atomic_load_n(&shim.dlsym, __ATOMIC_ACQUIRE))
        return real_getenv(name);
    for (char **each = environ; each && *each; each++)
        if (!strncmp(*each, name, strlen(name)) && (*each)[strlen(name)] == '=')
            return *each + strlen(name) + 1;
    return 0;
}

const char *shim_variable(const char *name)
{
    const char *value = real_getenv(name);
    return value ? value : "";
}

/* ---- Libraries ---- */

/* The compiler's own parts: SYSROOT/lib/libX.so, SYSROOT/lib/rustlib/TARGET/codegen-backends/libX.so; never what a
   workspace below /usr builds. Anything else that is opened by its path is taken for macros. */
static int is_of_compiler(const char *path)
{
    char real[4096];
    if (!*shim.sysroot || !realpath(path, real) || strncmp(real, shim.sysroot, strlen(shim.sysroot)))
        return 0;
    const char *below = real + strlen(shim.sysroot);
    return !strncmp(below, "lib/", 4) && (!strchr(below + 4, '/') || !strncmp(below + 4, "rustlib/", 8));
}

PUBLIC void *dlopen(const char *path, int flags)
{
    ready();
    if (!is_compiler || (shim.flags & SHIM_INSIDE) || !path || !strchr(path, '/') || is_of_compiler(path))
        return shim.dlopen(path, flags);
    return hosts_open(path);
}

PUBLIC int dlclose(void *handle)
{
    ready();
    if (!hosts_know(handle))
        return shim.dlclose(handle);
    hosts_close(handle);
    return 0;
}

PUBLIC void *dlsym(void *handle, const char *name)
{
    ready();
    if (!hosts_know(handle))
        return shim.dlsym(handle, name);
    char sentence[1024];
    const char *why = 0;
    void *found = hosts_symbol(handle, name, &why);
    if (found)
        return found;
    /* rustc says that there is no such crate, and not always what dlerror() says. */
    int size = snprintf(sentence, sizeof sentence, "buildperm: %s\n", why);
    if (write(STDERR_FILENO, sentence, (size_t)size) == size)
        sentence[size - 1] = 0;
    return shim.dlsym(RTLD_DEFAULT, sentence);
}
