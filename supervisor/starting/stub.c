/* Stands in place of a build script and has it run held to what it was granted, by the fork server where there is one.
 *
 *     connects to FOLDER/scripts ──▶ a worker looks at this process, supervises, and answers with an exit status
 *
 * Where there is none, or it says `again`, this becomes an interpreter that does the same. Nothing is loaded on the
 * way, so that nothing in LD_LIBRARY_PATH, which other build scripts have a say in, is looked for.
 *
 * What follows this program in its file is text, which `sandbox/stub.py` appends:
 *
 *     session=PATH       of the last command
 *     python=PATH
 *     supervisor=PATH
 *     libraries=PATH     where this Python needs to look for libraries; mostly empty
 *     on=PATH            the state folder of always on; empty where a command of buildperm runs Cargo
 *     # real: NAME       of the build script, in the same folder; for the supervisor */
#include "aside.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { TEXT_MOST = 1 << 16, FIELDS = 6, ADDED = 4, WORDS = 6, NAME_MOST = 64, TRIED = 77 };

/* The mark is what `sandbox/stub.py` searches for, to write the size of this program behind it. */
static volatile const struct { char mark[16]; uint64_t size; } own = {"buildperm-stub:", 0};

static char text[TEXT_MOST];
static const char *fields[FIELDS];
static const char *const names[FIELDS] = {"session=", "python=", "supervisor=", "libraries=", "on=", "# real: "};

static void say(const char *what) { CALL3(SYS_write, 2, what, length(what)); }

_Noreturn static void refuse(void) {
    say("buildperm: cannot run this build script: ");
    say(fields[1] ? fields[1] : "Python");
    say(" or ");
    say(fields[2] ? fields[2] : "buildperm");
    say(" is missing\n"
        "  Install buildperm again where it was. To build without it, use another target\n"
        "  directory, or run `cargo clean` in this one.\n");
    leave(1);
}

/* What a loader obeys is set aside, but for what has a variable of its own below. */
static int is_obeyed(const char *entry) { return is_among(entry, obeyed) && !after(entry, "LD_LIBRARY_PATH="); }

static const char *variable(const char **environment, const char *name) {
    for (; *environment; environment++) {
        const char *value = after(*environment, name);
        if (value) return value;
    }
    return NULL;
}

static void read_fields(void) {
    long file = CALL(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (file < 0) return;
    long size = CALL(SYS_pread64, file, text, sizeof text - 1, own.size, 0, 0);
    CALL3(SYS_close, file, 0, 0);
    char *line = text;
    for (long at = 0; at < size; at++) {
        if (text[at] != '\n') continue;
        text[at] = 0;
        for (int which = 0; which < FIELDS; which++)
            if (!fields[which]) fields[which] = after(line, names[which]);
        line = text + at + 1;
    }
}

static void append(char *into, size_t *at, const char *from) {
    while (*from) into[(*at)++] = *from++;
    into[*at] = 0;
}

static void append_number(char *into, size_t *at, unsigned long number) {
    char digits[20];
    size_t places = 0;
    do digits[places++] = (char)('0' + number % 10);
    while ((number /= 10));
    while (places) into[(*at)++] = digits[--places];
    into[*at] = 0;
}

/* Tells whether a name is one that Cargo takes for a package, and short: it is printed. */
static int is_plain(const char *name) {
    size_t size = 0;
    for (; name[size]; size++) {
        char each = name[size];
        int is_letter = (each >= 'A' && each <= 'Z') || (each >= 'a' && each <= 'z');
        if (size == NAME_MOST || !(is_letter || (each >= '0' && each <= '9') || each == '_' || each == '-')) return 0;
    }
    return size > 0;
}

/* Asks the server; returns where this has to be done without it. */
static void ask(const char *folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t at = 0;
    static const char name[] = "/scripts";
    if (length(folder) + sizeof name > sizeof address.sun_path) return;
    append(address.sun_path, &at, folder);
    append(address.sun_path, &at, name);
    long parent = CALL3(SYS_getppid, 0, 0, 0);
    /* The end of Cargo is the end of this process, and that is the end of the script. */
    if (CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0, 0) || CALL3(SYS_getppid, 0, 0, 0) != parent) return;
    long server = CALL3(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0) return;
    if (CALL3(SYS_connect, server, &address, sizeof address)) {
        CALL3(SYS_close, server, 0, 0);
        return;
    }
    char reply[16];
    size_t got = 0;
    while (got < sizeof reply && (!got || reply[got - 1] != '\n')) {
        long more = CALL3(SYS_read, server, reply + got, sizeof reply - got);
        if (more == -4) continue; /* EINTR */
        if (more <= 0) leave(1); /* The worker has ended without a word. */
        got += (size_t)more;
    }
    if (reply[0] == 'a') { /* again */
        CALL3(SYS_close, server, 0, 0);
        return;
    }
    int status = 0;
    for (size_t digit = 0; digit < got && reply[digit] >= '0' && reply[digit] <= '9'; digit++)
        status = status * 10 + (reply[digit] - '0');
    leave(status);
}

/* Says where Cargo says things that nobody holds this script: Cargo keeps what the script itself prints. */
static void tell_unheld(const char **environment) {
    char path[48] = "/proc/", said[256];
    size_t at = 6, size = 0;
    append_number(path, &at, (unsigned long)CALL3(SYS_getppid, 0, 0, 0));
    append(path, &at, "/fd/2");
    const char *name = variable(environment, "CARGO_PKG_NAME="); /* A project sets it as it likes: `[env]`. */
    append(said, &size, "buildperm: nothing holds the build script of ");
    append(said, &size, name && is_plain(name) ? name : "a package");
    append(said, &size, ": it was compiled where buildperm is on, and it is not here\n");
    long its = CALL(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC, 0, 0, 0);
    CALL3(SYS_write, its < 0 ? 2 : its, said, size);
    if (its >= 0) CALL3(SYS_close, its, 0, 0);
}

/* Always on, and buildperm is not installed any more: nobody holds anything, and the build goes on. Where its state is
 * missing, too, this is another machine, such as a container: nobody has decided that. */
_Noreturn static void become_real(const char **given, const char **environment) {
    static char path[TEXT_MOST];
    if (CALL(SYS_faccessat, AT_FDCWD, fields[4], 0, 0, 0, 0)) tell_unheld(environment); /* F_OK */
    long size = CALL(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path / 2, 0, 0);
    if (size <= 0 || length(fields[5]) >= sizeof path / 2) refuse();
    while (size && path[size - 1] != '/') size--;
    size_t at = (size_t)size;
    append(path, &at, fields[5]);
    CALL3(SYS_execve, path, given, environment);
    refuse();
}

/* Becomes an interpreter that supervises. */
_Noreturn static void become(long count, const char **given, const char **environment) {
    static char session[TEXT_MOST], kept[TEXT_MOST], parent[32], libraries[TEXT_MOST];
    static const char *const ours[] = {
        "LD_LIBRARY_PATH=", "BUILDPERM_LIBRARIES=", "BUILDPERM_FALLBACK=", "BUILDPERM_PARENT=", ASIDE, NULL};
    size_t variables = 0, at = 0, aside = 1;
    for (; environment[variables]; variables++)
        if (is_obeyed(environment[variables])) aside += length(environment[variables]) + sizeof ASIDE;
    size_t room = (variables + ADDED + 1 + (size_t)count + WORDS) * sizeof(char *);
    long made = CALL(SYS_mmap, NULL, room + aside, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made < 0 && made > -4096) leave(1);
    const char **left = (const char **)made; /* NOLINT: the kernel returns an address */
    const char **words = left + variables + ADDED + 1;
    char *renamed = (char *)made + room; /* NOLINT: likewise */
    const char *searched = variable(environment, ours[0]);
    for (; *environment; environment++) {
        if (is_among(*environment, ours)) continue;
        *left++ = *environment;
        if (!is_obeyed(*environment)) continue;
        left[-1] = renamed;
        for (const char *each = ASIDE; *each;) *renamed++ = *each++;
        for (const char *each = *environment; *each;) *renamed++ = *each++;
        *renamed++ = 0;
    }
    append(session, &at, ours[2]);
    append(session, &at, fields[0]);
    *left++ = session;
    at = 0;
    append(parent, &at, ours[3]);
    append_number(parent, &at, (unsigned long)CALL3(SYS_getppid, 0, 0, 0));
    *left++ = parent;
    if (searched && length(searched) < sizeof kept - 32) {
        at = 0;
        append(kept, &at, ours[1]);
        append(kept, &at, searched);
        *left++ = kept;
    }
    if (*fields[3]) {
        at = 0;
        append(libraries, &at, ours[0]);
        append(libraries, &at, fields[3]);
        *left++ = libraries;
    }
    const char **word = words;
    *word++ = fields[1];
    *word++ = "-IS";
    *word++ = fields[2];
    if (*fields[4]) {
        *word++ = "--on";
        *word++ = fields[4];
    }
    for (long each = 0; each < count; each++) *word++ = given[each];
    left = words - variables - ADDED - 1;
    CALL3(SYS_execve, fields[1], words, left);
    refuse();
}

_Noreturn void begin(long *stack) {
    long count = stack[0];
    const char **given = (const char **)(stack + 1);
    const char **environment = given + count + 1;
    if (!own.size) leave(TRIED); /* It stands for no script. */
    const char *folder = variable(environment, "BUILDPERM_SERVER=");
    const char *session = variable(environment, "BUILDPERM_SESSION=");
    read_fields();
    for (int which = 0; which < FIELDS; which++)
        if (!fields[which]) refuse();
    if (!*fields[4] && folder && *folder && session && *session) ask(folder);
    long found = CALL(SYS_faccessat, AT_FDCWD, fields[2], 4, 0, 0, 0); /* R_OK */
    if (*fields[4] && (found == -2 || found == -20)) become_real(given, environment); /* ENOENT, ENOTDIR */
    if (found) refuse();
    become(count, given, environment);
}
