/* What Cargo calls in place of rustc and rustdoc while buildperm is always on: it becomes the script beside it.
 *
 * A shell loads what LD_PRELOAD names before it runs a line, and a project may set that for compilers (`[env]` in its
 * configuration). This loads nothing, so the script starts without such variables:
 *
 *     BUILDPERM_ASIDE_NAME   each one's value
 *     BUILDPERM_ASIDE        their names, with a blank between two
 *     BUILDPERM_DIFFERS      set: one of them is not as it was given to Cargo, so Cargo was told to set it
 *
 * What follows this program in its file is text, which `sandbox/wrapper_entry.py` appends:
 *
 *     script=PATH
 *
 * Where nothing follows, it becomes the program that it is given, without the variables that Cargo was told to set: so
 * whoever asks Cargo about a workspace does not have rustc load what that names. */
#include "aside.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { TEXT_MOST = 1 << 13, OTHERS_MOST = 1 << 23, TRIED = 77, CANNOT = 23 };

/* The mark is what `sandbox/wrapper_entry.py` searches for, to write the size of this program behind it. */
static volatile const struct { char mark[16]; uint64_t size; } own = {"buildperm-entry", 0};

/* Shells run files that these name: bash(1), dash(1). */
static const char *const shells[] = {"BASH_ENV=", "ENV=", NULL};

/* These they obey later, too, or bash runs them as functions: no compiler needs them. */
static const char *const dropped[] = {"BASH_", "SHELLOPTS=", "BASHOPTS=", "PS4=", "IFS=", "CDPATH=", NULL};

static int is_aside(const char *entry) {
    return is_among(entry, obeyed) || is_among(entry, shells) || is_among(entry, dropped);
}

static char text[TEXT_MOST];

_Noreturn static void refuse(const char *script) {
    static const char *const parts[] = {"buildperm: cannot run `", "`\n  Run `buildperm enable` again, or switch it off by removing "
                                        "`rustc-wrapper` and `rustdoc`\n  from Cargo's configuration.\n"};
    CALL3(SYS_write, 2, parts[0], length(parts[0]));
    CALL3(SYS_write, 2, script, length(script));
    CALL3(SYS_write, 2, parts[1], length(parts[1]));
    leave(CANNOT);
}

static const char *script_path(void) {
    long file = CALL(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (file < 0) refuse("");
    long size = CALL(SYS_pread64, file, text, sizeof text - 1, own.size, 0, 0);
    CALL3(SYS_close, file, 0, 0);
    static const char head[] = "\nscript=";
    if (size <= 0 || !after(text, head)) refuse("");
    for (long at = sizeof head - 1; at < size; at++)
        if (text[at] == '\n') text[at] = 0;
    return text + sizeof head - 1;
}

static char *memory(size_t size) {
    long made = CALL(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made < 0 && made > -4096) leave(CANNOT);
    return (char *)made; /* NOLINT: the kernel returns an address */
}

/* Reads with what Cargo was started; returns how much that is: proc_pid_environ(5). */
static size_t read_others(char *into) {
    char path[48] = "/proc/", digits[20];
    size_t at = 6, places = 0, got = 0;
    unsigned long number = (unsigned long)CALL3(SYS_getppid, 0, 0, 0);
    do digits[places++] = (char)('0' + number % 10);
    while ((number /= 10));
    while (places) path[at++] = digits[--places];
    for (const char *rest = "/environ"; *rest;) path[at++] = *rest++;
    long file = CALL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (file < 0) return 0;
    for (;;) {
        long more = CALL3(SYS_read, file, into + got, OTHERS_MOST - 1 - got);
        if (more == -4) continue; /* EINTR */
        if (more <= 0) break;
        got += (size_t)more;
    }
    CALL3(SYS_close, file, 0, 0);
    return got;
}

static int has(const char *others, size_t size, const char *entry) {
    size_t wanted = length(entry) + 1;
    for (const char *at = others; at < others + size; at += length(at) + 1) {
        if ((size_t)(others + size - at) < wanted) return 0;
        size_t same = 0;
        while (same < wanted && at[same] == entry[same]) same++;
        if (same == wanted) return 1;
    }
    return 0;
}

_Noreturn void begin(long *stack) {
    long count = stack[0];
    const char **given = (const char **)(stack + 1);
    const char **environment = given + count + 1;
    if (!own.size && count < 2) leave(TRIED);
    const char *script = own.size ? script_path() : given[1];
    size_t variables = 0, size = 0;
    for (; environment[variables]; variables++)
        if (is_aside(environment[variables]))
            size += 2 * length(environment[variables]) + sizeof ASIDE + 2;
    const char **kept = (const char **)memory((variables + 3) * sizeof *kept);
    char *names = memory(size + sizeof "BUILDPERM_ASIDE="), *values = memory(size + 1), *others = NULL;
    size_t left = 0, named = 0, known = 0;
    int differs = 0;
    for (const char *each = "BUILDPERM_ASIDE="; *each;) names[named++] = *each++;
    for (const char **at = environment; *at; at++) {
        if (after(*at, "BUILDPERM_ASIDE") || after(*at, "BUILDPERM_DIFFERS=")) continue;
        if (!is_aside(*at)) {
            kept[left++] = *at;
            continue;
        }
        if (!others) known = read_others(others = memory(OTHERS_MOST));
        int is_given = has(others, known, *at);
        if (!is_given) differs = 1;
        if (!own.size) {
            if (is_given) kept[left++] = *at;
            continue;
        }
        size_t name = plain_name(*at);
        if (!name || (is_among(*at, dropped) && !is_among(*at, shells))) continue;
        kept[left++] = values;
        for (const char *each = ASIDE; *each;) *values++ = *each++;
        for (const char *each = *at; *each;) *values++ = *each++;
        *values++ = 0;
        for (size_t each = 0; each < name; each++) names[named++] = (*at)[each];
        names[named++] = ' ';
    }
    if (others && own.size) kept[left++] = names;
    if (differs && own.size) kept[left++] = "BUILDPERM_DIFFERS=yes";
    kept[left] = NULL;
    CALL3(SYS_execve, script, own.size ? given : given + 1, kept);
    refuse(script);
}
