/* Becomes the build script: the last steps before its first instruction, which Python would take far longer for.
 *
 *     starter MESSAGE          waits until it is traced; session, descriptors, limits; then either
 *                                confines itself, maybe in a room of its own (`room.c`), and executes the script, or
 *                                executes the sandbox wrapper, whose command is
 *     starter MESSAGE within   confines itself and executes the script
 *
 * MESSAGE is a descriptor of a memory file that the supervisor has written: see `supervisor/starter.py`, which has the
 * same layout. Nothing in it but the script's own arguments and variables was chosen by anybody else.
 *
 * What goes wrong is told through a pipe, as `WHAT NUL ERRNO`, and the script does not start. */
#include "bare.h"
#include "room.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>

enum { FAILED = 127, TRIED = 77, LANDLOCK_ADD_RULE = 445, LANDLOCK_RESTRICT_SELF = 446, CLOSE_RANGE = 436, BENEATH = 1 };

struct message {
    uint32_t size; /* Of all of it. */
    int32_t parent, waiting, failed, ruleset, output, talk, starter;
    uint32_t kept, limits, instructions, late, words, arguments, variables; /* How many of each follow. */
    uint32_t is_room; /* The words are for `room_enter`. */
    uint64_t capabilities;
};
/* Then, each beginning where the one before has ended:
 *     struct limit[limits]; uint64_t[instructions]; uint64_t[late], the rights; int32_t[kept], and one more if that is
 *     an odd number; and texts, each with a NUL: the program, paths[late], words[words] of the wrapper,
 *     arguments[arguments], variables[variables]. */
struct limit { uint64_t which, most; };
struct rlimit_ { uint64_t soft, hard; };

/* struct landlock_path_beneath_attr, which is packed. */
struct beneath { uint64_t rights; int32_t folder; } __attribute__((packed));

static const struct message *told;
static const struct limit *limits;
static uint64_t *filter;
static const uint64_t *late;
static const int32_t *kept;
static const char *program, *paths;
static const char **words, **arguments, **variables;

_Noreturn void fail(const char *what, long error) {
    char text[128];
    size_t at = 0;
    while (what[at] && at < sizeof text - 24) {
        text[at] = what[at];
        at++;
    }
    text[at++] = 0;
    char digits[20];
    size_t count = 0;
    unsigned long number = (unsigned long)-error;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10));
    while (count) text[at++] = digits[--count];
    CALL3(SYS_write, told->failed, text, at);
    leave(FAILED);
}

long checked(const char *what, long result) {
    if (result < 0) fail(what, result);
    return result;
}

static const char *texts(const char *from, uint32_t count, const char **into) {
    for (uint32_t at = 0; at < count; at++) {
        into[at] = from;
        from += length(from) + 1;
    }
    into[count] = NULL;
    return from;
}

/* Whatever is said before `told` is known is said to nobody. */
static void read_message(int descriptor) {
    struct message head;
    if (CALL(SYS_pread64, descriptor, &head, sizeof head, 0, 0, 0) != sizeof head) leave(FAILED);
    size_t pointers = ((size_t)head.words + head.arguments + head.variables + 3) * sizeof(char *);
    size_t room = (head.size + 7ul) & ~7ul;
    long made = CALL(SYS_mmap, NULL, room + pointers, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made < 0 && made > -4096) leave(FAILED);
    char *raw = (char *)made; /* NOLINT: the kernel returns an address */
    for (size_t at = 0; at < head.size;) {
        long got = CALL(SYS_pread64, descriptor, raw + at, head.size - at, at, 0, 0);
        if (got <= 0) leave(FAILED);
        at += (size_t)got;
    }
    told = (const struct message *)raw;
    limits = (const struct limit *)(told + 1);
    filter = (uint64_t *)(limits + told->limits);
    late = filter + told->instructions;
    kept = (const int32_t *)(late + told->late);
    program = (const char *)(kept + (told->kept + 1) / 2 * 2);
    paths = program + length(program) + 1;
    const char *rest = paths;
    for (uint32_t at = 0; at < told->late; at++) rest += length(rest) + 1;
    words = (const char **)(raw + room);
    arguments = words + told->words + 1;
    variables = arguments + told->arguments + 1;
    rest = texts(rest, told->words, words);
    rest = texts(rest, told->arguments, arguments);
    texts(rest, told->variables, variables);
}

static void close_from(long first, long last) {
    if (first <= last) checked("close inherited descriptors", CALL3(CLOSE_RANGE, first, last, 0));
}

/* Whether the words are those of a sandbox wrapper. */
static int is_wrapped(void) { return told->words && !told->is_room; }

static int is_left(int32_t descriptor, int message) {
    if (descriptor == told->ruleset || descriptor == told->failed) return 1;
    if (is_wrapped() && (descriptor == message || descriptor == told->starter)) return 1;
    for (uint32_t at = 0; at < told->kept; at++)
        if (descriptor == kept[at]) return 1;
    return 0;
}

/* Closes all from 3 on but what `is_left`: what a script gets, and what is needed until there is one. */
static void close_others(int message) {
    long first = 3;
    for (;;) {
        long next = -1; /* The lowest that is left, from `first` on. */
        for (uint32_t at = 0; at < told->kept + 4; at++) {
            const int32_t own[] = {told->ruleset, told->failed, message, told->starter};
            int32_t each = at < 4 ? own[at] : kept[at - 4];
            if (each >= first && is_left(each, message) && (next < 0 || each < next)) next = each;
        }
        if (next < 0) break;
        close_from(first, next - 1);
        first = next + 1;
    }
    close_from(first, 0x7FFFFFFF);
}

static void prepare(int message) {
    char go = 0;
    if (CALL3(SYS_read, told->waiting, &go, 1) != 1 || go != '!') leave(FAILED);
    CALL3(SYS_setsid, 0, 0, 0);
    checked("prctl 1", CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0));
    if (CALL3(SYS_getppid, 0, 0, 0) != told->parent) leave(FAILED); /* It is dead already, and sends nothing. */
    int32_t nothing = (int32_t)checked("open /dev/null", CALL(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0, 0, 0));
    const int32_t streams[] = {nothing, told->output, told->talk};
    for (int place = 0; place < 3; place++)
        if (streams[place] != place) checked("set the standard streams", CALL3(SYS_dup3, streams[place], place, 0));
    close_others(message);
    for (uint32_t at = 0; at < told->limits; at++) {
        struct rlimit_ now;
        checked("read a limit", CALL(SYS_prlimit64, 0, limits[at].which, NULL, &now, 0, 0));
        if (now.soft > limits[at].most) now.soft = limits[at].most; /* RLIM_INFINITY is the largest number. */
        if (now.hard > limits[at].most) now.hard = limits[at].most;
        checked("set a limit", CALL(SYS_prlimit64, 0, limits[at].which, &now, NULL, 0, 0));
    }
    checked("no new privileges", CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
}

/* Gives up all others. */
static void keep_capabilities(uint64_t left) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    checked("read the capabilities", CALL3(SYS_capget, &header, sets, 0));
    for (int half = 0; half < 2; half++) {
        sets[half].permitted &= (uint32_t)(left >> 32 * half);
        sets[half].effective = sets[half].permitted;
        sets[half].inheritable = 0;
    }
    checked("give up capabilities", CALL3(SYS_capset, &header, sets, 0));
}

/* Rules for what is only there within the wrapper. */
static void add_late_rules(void) {
    const char *path = paths;
    for (uint32_t at = 0; at < told->late; at++) {
        long found = CALL(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC | O_NOFOLLOW, 0, 0, 0);
        path += length(path) + 1;
        if (found < 0) continue; /* This kernel has no such file. */
        struct beneath rule = {late[at], (int32_t)found};
        checked("Landlock: add a rule", CALL(LANDLOCK_ADD_RULE, told->ruleset, BENEATH, &rule, 0, 0, 0));
        CALL3(SYS_close, found, 0, 0);
    }
}

/* posix_spawn(3) of glibc leaves its two own signals ignored, which nobody could undo but so. */
static void forget_ignored(void) {
    static const uint64_t usual[4]; /* SIG_DFL and nothing else: sigaction(2). */
    for (int own = 32; own <= 33; own++) CALL(SYS_rt_sigaction, own, usual, NULL, 8, 0, 0);
}

/* The filter comes last of all: the first call that stops for the recorder is the execution of the script. */
_Noreturn static void become(void) {
    for (int which = 0; which < 2; which++) {
        int32_t inner = which ? told->failed : told->ruleset;
        checked("close on execution", CALL3(SYS_fcntl, inner, F_SETFD, FD_CLOEXEC));
    }
    checked("no new privileges", CALL(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
    forget_ignored();
    keep_capabilities(told->capabilities);
    add_late_rules();
    checked("Landlock: restrict the process", CALL3(LANDLOCK_RESTRICT_SELF, told->ruleset, 0, 0));
    struct sock_fprog all = {(unsigned short)told->instructions, (struct sock_filter *)filter};
    checked("seccomp: install the filter", CALL(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0, 0));
    fail("execute", CALL3(SYS_execve, program, arguments, variables));
}

_Noreturn void begin(long *stack) {
    long count = stack[0];
    const char **given = (const char **)(stack + 1);
    int message = 0;
    if (count < 2) leave(TRIED);
    for (const char *digit = given[1]; *digit; digit++) message = message * 10 + (*digit - '0');
    read_message(message);
    if (count > 2) {
        CALL3(SYS_close, message, 0, 0);
        CALL3(SYS_close, told->starter, 0, 0);
        become();
    }
    prepare(message);
    if (told->is_room) room_enter(words);
    if (!is_wrapped()) become();
    const char *nothing[] = {NULL};
    fail("execute the sandbox wrapper", CALL3(SYS_execve, words[0], words, nothing));
}
