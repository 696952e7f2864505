/* Hosts of macros without a supervisor, as long as they do nothing that one would have to see.

     launcher                                         fork server
     the request ──▶ FOLDER/hosts ──────────────▶ what holds for it: rules, filter, environment (supervisor/quiet_hosts.py)
     forks, traces ──▶ host, held as by a supervisor
       │ a call that the filter stops, output, much work:
       ├─ freezes it, stops tracing it ─────────▶ forks a supervisor, which traces it from there on
       │ or its end:
       └─ what it has asked its environment for ─▶ writes the recording
                                      "0\n" ◀──── its end

   Nothing is decided here. Of the calls that the filter stops, two kinds go on: what the loader does before the program
   begins, and opening one of the files that a host needs to load its library, for reading, by a path that the server has
   told. The process is alone with its memory until then: to make a thread or a process is a call that stops, too. */
#include "quiet.h"
#include "tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

enum {
    RECIPE_MOST = 1 << 18, PATIENCE_MS = 10000, NAME_MOST = 1024, NOTES_MOST = 1 << 15, EVENTS = 16,
    WATCHED_MS = 3000, /* A host that works for longer than that is for a supervisor to watch. */
    STOPS_AT_ONCE = 64, BRIDGE = 3, READING = O_RDONLY | O_CLOEXEC,
};

/* ---- What the server tells ---- */

struct recipe {
    char *text;
    struct sock_fprog filter;
    const char *program, *cwd, *c_library;
    struct list arguments, environment, opens, rules;
    uint64_t handled[3], getenv, watched_ms, file_bytes, open_files;
    size_t handled_size;
    int server;
};

static bool read_recipe(struct recipe *recipe, char *data, size_t size) {
    uint32_t length;
    *recipe = (struct recipe){.text = data, .watched_ms = WATCHED_MS};
    if (size <= sizeof length || data[size - 1]) return false;
    memcpy(&length, data, sizeof length);
    if (length > size - sizeof length || length % sizeof(struct sock_filter)) return false;
    recipe->filter = (struct sock_fprog){(unsigned short)(length / sizeof(struct sock_filter)), (struct sock_filter *)(data + sizeof length)};
    for (char *at = data + sizeof length + length, *end = data + size; at < end; at += strlen(at) + 1) {
        const char *value;
        if ((value = after(at, "rule "))) append(&recipe->rules, (char *)value);
        else if ((value = after(at, "env "))) append(&recipe->environment, (char *)value);
        else if ((value = after(at, "argument "))) append(&recipe->arguments, (char *)value);
        else if ((value = after(at, "open "))) append(&recipe->opens, (char *)value);
        else if ((value = after(at, "program "))) recipe->program = value;
        else if ((value = after(at, "cwd "))) recipe->cwd = value;
        else if ((value = after(at, "libc "))) recipe->c_library = value;
        else if ((value = after(at, "getenv "))) recipe->getenv = strtoull(value, NULL, 10);
        else if ((value = after(at, "server "))) recipe->server = atoi(value);
        else if ((value = after(at, "seconds "))) recipe->watched_ms = strtoull(value, NULL, 10) * 500;
        else if ((value = after(at, "file-bytes "))) recipe->file_bytes = strtoull(value, NULL, 10);
        else if ((value = after(at, "open-files "))) recipe->open_files = strtoull(value, NULL, 10);
        else if ((value = after(at, "handled "))) {
            int found = sscanf(value, "%lu %lu %lu", recipe->handled, recipe->handled + 1, recipe->handled + 2);
            recipe->handled_size = found > 0 ? (size_t)found * sizeof *recipe->handled : 0;
        } else return false;
    }
    if (!recipe->watched_ms || recipe->watched_ms > WATCHED_MS) recipe->watched_ms = WATCHED_MS;
    return recipe->program && recipe->cwd && recipe->arguments.count && recipe->handled_size && recipe->filter.len
        && recipe->environment.items && recipe->c_library;
}

static void forget_recipe(struct recipe *recipe) {
    free(recipe->arguments.items), free(recipe->environment.items), free(recipe->opens.items), free(recipe->rules.items);
    free(recipe->text);
}

static int connect_to(const char *folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int place = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;
    if (place < 0) return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/hosts", place);
    if ((made = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) >= 0 && connect(made, (struct sockaddr *)&address, sizeof address)) {
        close(made), made = -1;
    }
    close(place);
    return made;
}

static bool send_with(int to, const void *data, size_t size, const int *handles, size_t count) {
    char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec text = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (count) {
        message.msg_control = control, message.msg_controllen = CMSG_SPACE(count * sizeof *handles);
        *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(count * sizeof *handles), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), handles, count * sizeof *handles);
    }
    return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

/* The request goes in a file: it may be larger than a message, and then comes whole or not at all. */
static bool ask(int server, const char *data, size_t size, struct recipe *recipe) {
    int file = memfd_create("request", MFD_CLOEXEC);
    struct pollfd answer = {server, POLLIN, 0};
    bool is_sent = file >= 0 && write(file, data, size) == (ssize_t)size && send_with(server, "1", 1, &file, 1);
    if (file >= 0) close(file);
    if (!is_sent || poll(&answer, 1, PATIENCE_MS) != 1) return false;
    char *told = malloc(RECIPE_MOST);
    if (!told) return false;
    ssize_t got = recv(server, told, RECIPE_MOST, MSG_TRUNC | MSG_DONTWAIT);
    if (got > 0 && got <= RECIPE_MOST && read_recipe(recipe, told, (size_t)got)) return true;
    *recipe = (struct recipe){.text = told};
    return false;
}

/* ---- The process ---- */

struct host {
    pid_t pid;
    int connection, output; /* -1: not ours any more. */
    struct recipe recipe;
    uint64_t entry, entry_word, getenv, getenv_word; /* Addresses of breakpoints, and what was there; 0: there is none. */
    bool has_executed, has_begun, is_stepping, is_wanted, is_handed_over, met_file_limit;
    cpu_set_t processors;
    bool is_pinned, has_moved;  /* It has chosen its processors itself. */
    uint64_t spent_ms, ticks;
    struct list names, opened;  /* Variables that were read, and files; with numbers as in `counts`. */
    unsigned *name_counts, *opened_counts;
    size_t notes;               /* Bytes of all of them. */
};

static struct host **hosts;
static size_t count, room;
static int queue = -1, signals = -1, timer = -1;

/* In a child that has nothing to lose: whoever waits for it starts a supervisor. */
#define NEED(what) do { if (!(what)) _exit(127); } while (0)

static void restrict_files(const struct recipe *recipe) {
    const struct { uint64_t flags, mode, resolve; } how = {O_PATH | O_CLOEXEC, 0, 0x04}; /* RESOLVE_NO_SYMLINKS */
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, recipe->handled, recipe->handled_size, 0);
    NEED(ruleset >= 0);
    for (size_t i = 0; i < recipe->rules.count; i++) {
        char *path;
        uint64_t access = strtoull(recipe->rules.items[i], &path, 16);
        NEED(*path == ' ');
        int handle = (int)syscall(SYS_openat2, AT_FDCWD, path + 1, &how, sizeof how);
        if (handle < 0) {
            NEED(errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES);
            continue;
        }
        NEED(rights_add(ruleset, handle, access));
        close(handle);
    }
    NEED(!syscall(SYS_landlock_restrict_self, ruleset, 0));
}

static void lower(int which, uint64_t wanted) {
    struct rlimit limit;
    if (!wanted) return;
    NEED(!getrlimit((__rlimit_resource_t)which, &limit));
    if (limit.rlim_cur > wanted) limit.rlim_cur = wanted; /* RLIM_INFINITY is the greatest. */
    if (limit.rlim_max > wanted) limit.rlim_max = wanted;
    NEED(!setrlimit((__rlimit_resource_t)which, &limit));
}

/* Stops what would end its being alone with its memory. All else, and these as well, is answered by the other filter, whose
   data counts where both stop a call: seccomp(2). */
static void install_filters(struct sock_fprog *filter) {
    struct sock_filter stops[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* The number. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 2, 0),
#ifdef SYS_fork
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fork, 1, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 0, 1),
#else
        BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog first = {sizeof stops / sizeof *stops, stops};
    NEED(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &first));
    NEED(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter));
}

/* As supervisor/launch.py starts a program. `to`, `from`: to be traced first. */
static _Noreturn void be_host(const struct host *host, int bridge, int output, int to, int from, pid_t parent) {
    static const int usual[] = {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP};
    const struct rlimit none = {0, 0};
    struct recipe recipe = host->recipe;
    sigset_t mask;
    char byte = 0;
    sigemptyset(&mask);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) signal(usual[i], SIG_DFL);
    NEED(!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent && !prctl(PR_SET_DUMPABLE, 1));
    prctl(PR_SET_PTRACER, recipe.server, 0, 0, 0); /* Where there is no Yama, whoever has the same user may. */
    NEED(write(to, &byte, 1) == 1 && setsid() >= 0 && !sigprocmask(SIG_SETMASK, &mask, NULL) && !chdir(recipe.cwd));
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    NEED(nothing >= 0 && bridge > BRIDGE && from > BRIDGE);
    NEED(dup2(nothing, 0) == 0 && !fcntl(0, F_SETFD, 0) && dup2(output, 1) == 1 && dup2(output, 2) == 2 && dup2(bridge, BRIDGE) == BRIDGE);
    NEED(!setrlimit(RLIMIT_CORE, &none));
    lower(RLIMIT_FSIZE, recipe.file_bytes), lower(RLIMIT_NOFILE, recipe.open_files);
    NEED(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && rights_keep_capabilities());
    restrict_files(&recipe);
    NEED(read(from, &byte, 1) == 1);
    NEED(!syscall(SYS_close_range, BRIDGE + 1, ~0U, 0));
    install_filters(&recipe.filter);
    execve(recipe.program, recipe.arguments.items, recipe.environment.items);
    _exit(127);
}

/* ---- To a supervisor, or to the server at the end ---- */

struct told { /* supervisor/quiet_hosts.py */
    uint32_t kind; /* 1: to be taken over. 2: ended. */
    int32_t pid, status;
    uint32_t flags; /* 1: a file could not grow any more. 2: something was printed. 4: it has chosen its processors. */
    uint64_t spent_ms;
    struct tracee_place place;
};

static void put_notes(FILE *to, const char *kind, const struct list *list, const unsigned *counts) {
    for (size_t i = 0; i < list->count; i++) fprintf(to, "%s %u %s", kind, counts[i], list->items[i]), fputc(0, to);
}

static bool tell(struct host *host, struct told *told) {
    char *data;
    size_t size;
    FILE *to = open_memstream(&data, &size);
    int output[] = {host->output, 2}, said = 0;
    if (!to) return false;
    ioctl(host->output, FIONREAD, &said);
    told->flags = (host->met_file_limit ? 1 : 0) | (said ? 2 : 0) | (host->has_moved ? 4 : 0);
    fwrite(told, sizeof *told, 1, to);
    put_notes(to, "env", &host->names, host->name_counts);
    put_notes(to, "open", &host->opened, host->opened_counts);
    if (ferror(to) | fclose(to)) return false;
    bool is_told = send_with(host->connection, data, size, output, 2);
    free(data);
    return is_told;
}

static void release(struct host *host) {
    if (host->output >= 0) {
        epoll_ctl(queue, EPOLL_CTL_DEL, host->output, NULL); /* A supervisor may have it as well by now. */
        close(host->output), host->output = -1;
    }
    for (size_t i = 0; i < host->names.count; i++) free(host->names.items[i]);
    for (size_t i = 0; i < host->opened.count; i++) free(host->opened.items[i]);
    free(host->names.items), free(host->opened.items), free(host->name_counts), free(host->opened_counts);
    host->names = host->opened = (struct list){0}, host->name_counts = host->opened_counts = NULL;
    forget_recipe(&host->recipe);
    host->recipe = (struct recipe){0};
}

/* Nobody could say any more what it has done. Its compiler is told by the end of the bridge. */
static void give_up(struct host *host) { kill(host->pid, SIGKILL); }

static void unpin(struct host *host) {
    if (host->is_pinned) sched_setaffinity(host->pid, sizeof host->processors, &host->processors);
    host->is_pinned = false;
}

static void hand_over(struct host *host, enum tracee_stop stop) {
    struct told told = {.kind = 1, .pid = host->pid, .spent_ms = host->spent_ms};
    unpin(host);
    bool is_whole = !host->getenv || tracee_take_out(host->pid, host->getenv, host->getenv_word);
    host->is_handed_over = true;
    if (!is_whole || !tracee_freeze(host->pid, stop, host->getenv, &told.place) || !tell(host, &told)) {
        give_up(host);
        shutdown(host->connection, SHUT_RDWR);
    } else {
        /* If nobody takes it over, it must not wait for ever. */
        epoll_ctl(queue, EPOLL_CTL_ADD, host->connection, &(struct epoll_event){EPOLLIN | EPOLLRDHUP, {.fd = host->connection}});
    }
    release(host);
}

static void ended(struct host *host, int status) {
    if (!host->is_handed_over) {
        struct told told = {.kind = 2, .pid = host->pid, .status = status, .spent_ms = host->spent_ms};
        if (!tell(host, &told)) shutdown(host->connection, SHUT_RDWR);
        release(host);
    } else if (host->connection >= 0) { /* What comes on it now is read at the end. */
        epoll_ctl(queue, EPOLL_CTL_DEL, host->connection, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (hosts[i] == host) hosts[i] = hosts[--count];
    }
    free(host);
}

/* ---- What it does ---- */

static bool note(struct host *host, struct list *list, unsigned **counts, const char *text) {
    size_t size = strlen(text) + 16;
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i], text)) return ++(*counts)[i];
    }
    if (host->notes + size > NOTES_MOST) return false;
    unsigned *more = realloc(*counts, (list->count + 1) * sizeof *more);
    if (!more) return false;
    *counts = more, more[list->count] = 1, host->notes += size;
    append(list, copied(text));
    return true;
}

static bool may_open(struct host *host, const struct tracee_call *call) {
    char path[NAME_MOST];
    uint64_t at, flags;
    if (call->data) return false;
#ifdef SYS_open
    if (call->number == SYS_open) at = call->arguments[0], flags = call->arguments[1];
    else
#endif
    if (call->number == SYS_openat) at = call->arguments[1], flags = call->arguments[2];
    else return false;
    if (!host->has_begun) return true;
    if ((uint32_t)flags != READING || !tracee_text(host->pid, at, path, sizeof path) || !holds(&host->recipe.opens, path)) return false;
    return note(host, &host->opened, &host->opened_counts, path);
}

/* That is nothing to record: a recorder, which pins processes for a while, only has to know. */
static bool is_about_processors(struct host *host, const struct tracee_call *call) {
    if (call->data || (call->number != SYS_sched_setaffinity && call->number != SYS_sched_getaffinity)) return false;
    host->has_moved = true;
    return true;
}

static void at_call(struct host *host) {
    struct tracee_call call;
    if (!tracee_call(host->pid, &call)) return give_up(host); /* Or it has been killed. */
    if (!host->has_executed && call.number == SYS_execve) {
        host->has_executed = true;
        return tracee_go_on(host->pid, 0, false);
    }
    /* The loader opens something before anything of the program runs. */
    if (!host->entry && (!(host->entry = tracee_entry(host->pid)) || !tracee_insert(host->pid, host->entry, &host->entry_word))) return give_up(host);
    if (may_open(host, &call) || is_about_processors(host, &call)) {
        if (host->has_begun) unpin(host); /* It is about to load the library, which can look. */
        return tracee_go_on(host->pid, 0, false);
    }
    if (!host->has_begun) return give_up(host); /* The loader did something that it does not do. */
    hand_over(host, AT_CALL);
}

/* At the entry point of the program: its libraries are there, and nothing of it has run. */
static bool begin(struct host *host) {
    uint64_t base = tracee_library(host->pid, host->recipe.c_library);
    host->has_begun = true;
    if (!tracee_take_out(host->pid, host->entry, host->entry_word) || !tracee_move(host->pid, host->entry)) return false;
    if (!base || !host->recipe.getenv) return false;
    uint64_t address = base + host->recipe.getenv;
    return tracee_insert(host->pid, address, &host->getenv_word) && (host->getenv = address);
}

static void at_trap(struct host *host) {
    char name[NAME_MOST];
    uint64_t at;
    if (host->is_stepping && tracee_has_stepped(host->pid)) {
        host->is_stepping = false;
        if (!tracee_insert(host->pid, host->getenv, &host->getenv_word)) return give_up(host);
        return tracee_go_on(host->pid, 0, false);
    }
    at = tracee_trapped_at(host->pid);
    if (at && at == host->entry && !host->has_begun) return begin(host) ? tracee_go_on(host->pid, 0, false) : give_up(host);
    if (!at || at != host->getenv) return tracee_go_on(host->pid, SIGTRAP, host->is_stepping); /* Its own. */
    if (tracee_text(host->pid, tracee_first_argument(host->pid), name, sizeof name)
        && !note(host, &host->names, &host->name_counts, name)) return hand_over(host, AT_TRAP);
    if (!tracee_take_out(host->pid, at, host->getenv_word) || !tracee_move(host->pid, at)) return give_up(host);
    host->is_stepping = true;
    tracee_go_on(host->pid, 0, true);
}

static void at_stop(struct host *host, int status) {
    int event = status >> 16, signal_ = WSTOPSIG(status);
    switch (event) {
    case 0:
        if (signal_ == SIGTRAP) return at_trap(host);
        if (signal_ == SIGXFSZ) host->met_file_limit = true;
        return tracee_go_on(host->pid, signal_, host->is_stepping);
    case PTRACE_EVENT_SECCOMP: return at_call(host);
    case PTRACE_EVENT_STOP:
        if (signal_ != SIGTRAP) { /* A group-stop. */
            tracee_listen(host->pid);
            return;
        }
        if (host->is_wanted && host->has_begun) return hand_over(host, ELSEWHERE);
        return tracee_go_on(host->pid, 0, host->is_stepping);
    default: return give_up(host); /* A thread or process, which it cannot have made. */
    }
}

/* Whether it still has to be waited for. */
static bool look(struct host *host, int flags) {
    int status;
    pid_t found;
    while ((found = waitpid(host->pid, &status, __WALL | flags)) < 0 && errno == EINTR) {}
    if (!found) return false;
    if (found < 0) status = SIGKILL; /* It is nobody's child any more. */
    if (found > 0 && WIFSTOPPED(status)) return at_stop(host, status), true;
    return ended(host, status), false;
}

static bool read_short(const char *path, char *text, size_t room) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, room - 1);
    if (file >= 0) close(file);
    text[size > 0 ? size : 0] = 0;
    return size > 0;
}

static void want(struct host *host) {
    host->is_wanted = true;
    tracee_interrupt(host->pid);
}

/* ---- Time ---- */

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* As supervisor/idleness.py. */
static void watch(struct host *host, uint64_t passed_ms) {
    char path[64], text[512], *at;
    uint64_t user = 0, system = 0, before = host->ticks;
    snprintf(path, sizeof path, "/proc/%d/stat", host->pid);
    if (read_short(path, text, sizeof text) && (at = strrchr(text, ')'))) {
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
        host->ticks = user + system;
    }
    uint64_t used_ms = (host->ticks - before) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    snprintf(path, sizeof path, "/proc/%d/syscall", host->pid);
    bool waits = read_short(path, text, sizeof text) && strtol(text, &at, 10) == SYS_readv && *at == ' ';
    if (!waits || used_ms * 2 > passed_ms) host->spent_ms += passed_ms;
    if (host->spent_ms >= host->recipe.watched_ms) want(host);
}

static void tick(void) {
    static uint64_t last;
    uint64_t now = now_ms(), passed = last ? now - last : 1000, times;
    last = now;
    if (read(timer, &times, sizeof times) < 0) { /* It is only to be quiet again. */ }
    for (size_t i = 0; i < count; i++) {
        if (!hosts[i]->is_handed_over) watch(hosts[i], passed > 2000 ? 2000 : passed);
    }
}

/* ---- From outside ---- */

static bool prepare(void) {
    const struct itimerspec every = {{1, 0}, {1, 0}};
    sigset_t mask;
    if (queue >= 0) return true;
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&mask), sigaddset(&mask, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) || (signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) return false;
    if ((timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) < 0 || timerfd_settime(timer, 0, &every, NULL)) return false;
    int made = epoll_create1(EPOLL_CLOEXEC);
    if (made < 0 || epoll_ctl(made, EPOLL_CTL_ADD, signals, &(struct epoll_event){EPOLLIN, {.fd = signals}})
        || epoll_ctl(made, EPOLL_CTL_ADD, timer, &(struct epoll_event){EPOLLIN, {.fd = timer}})) return false;
    queue = made;
    return true;
}

/* It and this process work in turns now: on two processors each would have to wake the other one. */
static void pin(struct host *host) {
    cpu_set_t one;
    int processor = sched_getcpu();
    if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(0, sizeof host->processors, &host->processors)) return;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    host->is_pinned = !sched_setaffinity(host->pid, sizeof one, &one);
}

static bool start(struct host *host, int bridge) {
    int output[2] = {-1, -1}, to[2] = {-1, -1}, from[2] = {-1, -1}, high = -1;
    char byte = 0;
    pid_t parent = getpid();
    bool is_traced = false;
    if (!pipe2(output, O_CLOEXEC) && !pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC) && (high = fcntl(bridge, F_DUPFD_CLOEXEC, BRIDGE + 1)) >= 0) {
        int out = fcntl(output[1], F_DUPFD_CLOEXEC, BRIDGE + 1), in = fcntl(from[0], F_DUPFD_CLOEXEC, BRIDGE + 1);
        if (out >= 0 && in >= 0 && (host->pid = fork()) == 0) be_host(host, high, out, to[1], in, parent);
        close(out), close(in), close(to[1]), to[1] = -1;
        if (host->pid > 0) {
            is_traced = read(to[0], &byte, 1) == 1 && tracee_seize(host->pid);
            if (is_traced) pin(host), is_traced = write(from[1], &byte, 1) == 1;
        }
    }
    close(high), close(to[0]), close(to[1]), close(from[0]), close(from[1]), close(output[1]);
    host->output = output[0];
    return is_traced;
}

int quiet_start(const char *server, const char *data, size_t size, int bridge) {
    struct host *host = allocate(sizeof *host);
    *host = (struct host){.output = -1, .connection = tracee_is_possible() && prepare() ? connect_to(server) : -1};
    int connection = host->connection;
    if (connection < 0 || !ask(connection, data, size, &host->recipe) || !start(host, bridge)) goto failed;
    if (count == room && !(hosts = realloc(hosts, (room = room * 2 + 8) * sizeof *hosts))) refuse("there is no memory left");
    hosts[count++] = host;
    epoll_ctl(queue, EPOLL_CTL_ADD, host->output, &(struct epoll_event){EPOLLIN, {.fd = host->output}});
    /* Only the loader runs until then, and nothing that it would have to wait for. */
    while (!host->has_begun) {
        int status;
        pid_t found = waitpid(host->pid, &status, __WALL);
        if (found < 0 && errno == EINTR) continue;
        if (found < 0 || !WIFSTOPPED(status)) {
            count--, host->pid = 0;
            goto failed;
        }
        at_stop(host, status);
    }
    return connection;
failed:
    if (host->pid > 0) {
        kill(host->pid, SIGKILL);
        while (waitpid(host->pid, NULL, __WALL) < 0 && errno == EINTR) {}
    }
    if (connection >= 0) close(connection);
    release(host), free(host);
    return -1;
}

int quiet_descriptor(void) { return queue; }

bool quiet_has(pid_t pid) {
    for (size_t i = 0; i < count; i++) {
        if (hosts[i]->pid == pid) return true;
    }
    return false;
}

void quiet_forget(int connection) {
    for (size_t i = 0; i < count; i++) {
        if (hosts[i]->connection != connection) continue;
        if (hosts[i]->is_handed_over) give_up(hosts[i]);
        epoll_ctl(queue, EPOLL_CTL_DEL, connection, NULL);
        hosts[i]->connection = -1;
    }
}

static void happened(int descriptor) {
    struct signalfd_siginfo about;
    if (descriptor == timer) return tick();
    if (descriptor == signals) {
        while (read(signals, &about, sizeof about) > 0) {}
        for (size_t i = count; i-- > 0;) {
            struct host *host = hosts[i];
            int left = STOPS_AT_ONCE;
            while (look(host, WNOHANG) && !host->is_handed_over && --left) {}
            if (!left) kill(getpid(), SIGCHLD); /* Others have their turn, and the clock has: then on with this one. */
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct host *host = hosts[i];
        if (descriptor == host->output && !host->is_handed_over) { /* What it prints is for a supervisor to pass on. */
            epoll_ctl(queue, EPOLL_CTL_DEL, descriptor, NULL); /* Else it would be told again and again. */
            want(host);
        } else if (descriptor == host->connection && host->is_handed_over) { /* Its supervisor is done, or gone. */
            quiet_forget(descriptor);
        }
    }
}

static void answer(int wait_ms) {
    struct epoll_event events[EVENTS];
    int found = epoll_wait(queue, events, EVENTS, wait_ms);
    for (int i = 0; i < found; i++) happened(events[i].data.fd);
}

void quiet_answer(void) { answer(0); }

static bool has_quiet(void) {
    for (size_t i = 0; i < count; i++) {
        if (!hosts[i]->is_handed_over) return true;
    }
    return false;
}

void quiet_end(int patience_ms) {
    uint64_t end = now_ms() + (uint64_t)patience_ms;
    while (has_quiet() && now_ms() < end) answer(100);
    for (size_t i = 0; i < count; i++) {
        if (!hosts[i]->is_handed_over) give_up(hosts[i]);
    }
    while (has_quiet()) answer(100);
}
