/* `launcher SESSION COMPILER ARGUMENTS…`: runs rustc, rustdoc or clippy-driver with rules of its own for this call.

     Cargo ── launcher ──fork──▶ [Landlock, seccomp] compiler with the shim ── cc, ld …
                 │  ◀── opens for writing in shared folders (seccomp user notifications): broker.c
                 │  ◀── what the shim asks for: requests.c
                 └────▶ marker in the state folder: unit.c

   The launcher is not confined, and is the compiler's parent until it has ended. Everything that comes from below is
   hostile: messages, paths, the memory of the processes. `launcher --server SESSION PROGRAM …` is for a server that
   expands macros of many packages. */
#include "launcher.h"
#include "quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

enum { MOST_FILTER = 4096 * sizeof(struct sock_filter), MOST_KEPT = 16 };

static struct sock_fprog filter;

static void read_filter(const struct session *session) {
    size_t size;
    char *data = read_whole(session->filter, MOST_FILTER, &size);
    if (!data || !size || size % sizeof(struct sock_filter)) refuse("the filter of the session is damaged");
    filter = (struct sock_fprog){(unsigned short)(size / sizeof(struct sock_filter)), (struct sock_filter *)data};
}

/* Returns the descriptor of the notifications, if they are asked for. */
static int put_on_filter(bool with_listener) {
    unsigned long listener = with_listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    unsigned long killable = with_listener ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
    long answer = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listener | killable, &filter);
    if (answer < 0 && errno == EINVAL && killable) answer = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listener, &filter);
    if (answer < 0 && errno == EBUSY) refuse("the compiler cannot be held: a program above holds this build in the same way (seccomp user notifications)");
    if (answer < 0) fail("seccomp");
    return (int)answer;
}

static void keep(int *kept, size_t *count, int handle) {
    size_t at = *count;
    if (handle < 3 || at == MOST_KEPT) return;
    for (; at > 0 && kept[at - 1] > handle; at--) kept[at] = kept[at - 1];
    kept[at] = handle, ++*count;
}

/* All but the standard streams, Cargo's job server and `control`. */
static void close_others(int control) {
    static const char *const options[] = {"--jobserver-auth=", "--jobserver-fds=", NULL};
    const char *flags = getenv("CARGO_MAKEFLAGS");
    int kept[MOST_KEPT], one, other;
    size_t count = 0;
    unsigned first = 3;
    if (control >= 0) keep(kept, &count, control);
    for (const char *const *option = options; flags && *option; option++) {
        const char *at = strstr(flags, *option);
        if (at && sscanf(at + strlen(*option), "%d,%d", &one, &other) == 2) keep(kept, &count, one), keep(kept, &count, other);
    }
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)kept[i] > first && syscall(SYS_close_range, first, kept[i] - 1, 0)) fail("close_range");
        if ((unsigned)kept[i] >= first) first = (unsigned)kept[i] + 1;
    }
    if (syscall(SYS_close_range, first, ~0U, 0)) fail("close_range");
}

static void send_handle(int socket, int handle) {
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &handle, sizeof handle);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) fail("the launcher has gone");
}

/* -1: the child has ended, and has said why. */
static int receive_handle(int socket) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    int handle = -1;
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size;
    while ((size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    if (size > 0 && CMSG_FIRSTHDR(&message)) memcpy(&handle, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof handle);
    return handle;
}

enum { FOR_CHILDREN = 1, IS_SERVER = 2, IS_INSIDE = 4 }; /* Flags for the shim. */

static void set_environment(const struct session *session, const struct unit *unit, const struct list *withheld, int control, int flags) {
    if (strcmp(session->macros, "outside")) flags |= IS_INSIDE; /* Macros stay in the compiler, which is held. */
    char *words = formatted("%d %d %d %s", control, session->layout, flags, session->foreseen);
    for (size_t i = 0; i < withheld->count; i++) {
        if (strpbrk(withheld->items[i], " \t\n")) continue;
        char *more = formatted("%s %s", words, withheld->items[i]);
        free(words), words = more;
    }
    if (unit->temporary && setenv("TMPDIR", unit->temporary, 1)) fail("the environment");
    if (session->shim) {
        if (setenv("BUILDPERM_SHIM", words, 1) || setenv("LD_PRELOAD", session->shim, 1)) fail("the environment");
    }
    free(words);
}

static _Noreturn void run(const struct call *call) {
    execvp(call->argv[0], call->argv);
    fail(escaped(call->argv[0]));
}

/* The child: confined, and then the compiler. */
static _Noreturn void be_compiler(const struct call *call, pid_t parent, int control, bool is_held) {
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) fail("the launcher has gone");
    setrlimit(RLIMIT_CORE, &none);
    if (is_held) {
        rights_allow_own();
        rights_enforce();
        send_handle(control, put_on_filter(true));
    }
    close_others(control);
    run(call);
}

/* By a supervisor that has taken a host over, and ends what that has started. */
static bool is_traced(pid_t pid) {
    char path[64], text[1024], *at;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    text[size > 0 ? size : 0] = 0;
    return (at = strstr(text, "TracerPid:")) && atoi(at + strlen("TracerPid:"));
}

/* Whoever was started below and still runs: the compiler has ended, and its rights with it. */
static void end_others(const struct requests *requests) {
    for (;;) {
        char path[64], pids[4096], *at = pids;
        snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
        int file = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = file < 0 ? -1 : read(file, pids, sizeof pids - 1);
        if (file >= 0) close(file);
        if (size <= 0) break;
        pids[size] = 0;
        bool is_done = true;
        for (char *word; (word = strsep(&at, " "));) {
            pid_t pid = atoi(word);
            if (pid <= 1 || requests_started(requests, pid) || is_traced(pid)) continue;
            kill(pid, SIGKILL), is_done = false;
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        }
        if (is_done) break;
    }
}

static int supervise(pid_t compiler, int notifications, int control, struct requests *requests) {
    int handle = (int)syscall(SYS_pidfd_open, compiler, 0), status;
    if (handle < 0) fail("pidfd_open");
    for (;;) {
        struct pollfd waits[] = {{handle, POLLIN, 0}, {notifications, POLLIN, 0}, {control, POLLIN, 0}, {quiet_descriptor(), POLLIN, 0}};
        if (poll(waits, 4, -1) < 0 && errno != EINTR) fail("poll");
        if (waits[1].revents & POLLIN) broker_answer();
        else if (waits[1].revents) notifications = -1;
        if (waits[3].revents) quiet_answer();
        if (waits[2].revents && !requests_answer(requests)) control = -1;
        if (waits[0].revents && !(waits[1].revents & POLLIN) && (!waits[2].revents || control < 0)) break;
    }
    close(handle);
    while (waitpid(compiler, &status, 0) < 0) {
        if (errno != EINTR) fail("waitpid");
    }
    return status;
}

static _Noreturn void end_like(int status) {
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static char **snapshot(void) {
    size_t count = 0;
    while (environ[count]) count++;
    char **all = allocate((count + 1) * sizeof *all);
    return memcpy(all, environ, count * sizeof *all);
}

/* No package, or nothing that is compiled: questions about the tool chain. */
static _Noreturn void answer_question(struct call *call, const struct session *session) {
    struct list withheld = {0};
    struct unit none = {0};
    variables_withhold(session, NULL, &withheld);
    rights_begin();
    rights_allow_section(&session->globals);
    unit_allow(&none, call, session, &session->globals);
    rights_enforce();
    put_on_filter(false);
    close_others(-1);
    run(call);
}

static _Noreturn void compile(struct call *call, const struct session *session, const struct section *section, bool is_server) {
    struct unit unit = {0};
    struct list withheld = {0};
    int pair[2], control, notifications = -1;
    bool is_held = strcmp(section->compile, "watch") && !call->runs_tests;
    bool has_shim = strcmp(section->compile, "watch");
    char **environment = snapshot();
    if (!is_server) unit_find(&unit, call, session, section);
    else unit.temporary = formatted("%s/server-%d", session->state, getpid()), make_folder(session->state), make_folder(unit.temporary);
    /* `rustdoc --test` runs what it compiles. Neither is held but for its macros. */
    if (has_shim) variables_withhold(session, section, &withheld);
    if (is_held) {
        rights_begin();
        rights_allow_section(&session->globals);
        rights_allow_section(section);
        if (section->manifests) rights_allow_manifests(session);
        if (session->shim) rights_allow(session->shim, CAN_RUN);
        unit_allow(&unit, call, session, section);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) fail("socketpair");
    if ((control = fcntl(pair[1], F_DUPFD, 100)) < 0 && (control = fcntl(pair[1], F_DUPFD, 10)) < 0) fail("dup");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1)) fail("prctl");
    if (has_shim) set_environment(session, &unit, &withheld, control, (call->runs_tests ? FOR_CHILDREN : 0) | (is_server ? IS_SERVER : 0));
    pid_t parent = getpid(), compiler = fork();
    if (compiler < 0) fail("fork");
    if (!compiler) be_compiler(call, parent, control, is_held);
    close(pair[1]), close(control);
    if (is_held) {
        if ((notifications = receive_handle(pair[0])) < 0) {
            int status;
            while (waitpid(compiler, &status, 0) < 0 && errno == EINTR) {}
            _exit(1);
        }
        broker_begin(notifications, &unit, call);
    }
    struct requests *requests = requests_begin(pair[0], session, section, &unit, environment);
    int status = supervise(compiler, notifications, pair[0], requests);
    if (is_held) close(notifications), end_others(requests);
    bool is_well = requests_end(requests);
    if (is_server) remove_tree(unit.temporary);
    if (is_server && (WIFSIGNALED(status) || requests_ready(requests))) end_like(status);
    if (!status && is_held && session->shim && !strcmp(session->macros, "outside") && !requests_ready(requests)) {
        say("`%s` did not load the library that keeps macros out of compilers", escaped(call->compiler));
        is_well = false;
    }
    if (!is_well && !status) status = 1 << 8;
    unit_end(&unit, call, session, section, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    end_like(status);
}

int main(int count, char **words) {
    struct session session;
    struct call call;
    struct section section;
    bool is_server = count > 1 && !strcmp(words[1], "--server");
    words += 1 + is_server, count -= 1 + is_server;
    if (count < 2) refuse("usage: launcher [--server] SESSION COMPILER [ARGUMENT]…");
    /* What it holds is nobody's business below: ptrace(2), PTRACE_MODE checks. */
    if (prctl(PR_SET_DUMPABLE, 0)) fail("prctl");
    session_read(&session, words[0]);
    read_filter(&session);
    call_read(&call, words + 1, count - 1);
    if (is_server) {
        session.globals.compile = "hold"; /* It serves all packages, and none of them decides for it. */
        compile(&call, &session, &session.globals, true);
    }
    const char *folder = getenv("CARGO_MANIFEST_DIR");
    if (!folder || (!call.out_dir && !call.output && !call.runs_tests)) answer_question(&call, &session);
    char *manifest_dir = real_path(folder);
    if (!manifest_dir) fail(escaped(folder));
    if (!session_find(&session, manifest_dir, &section) && !session_unnamed(&session, manifest_dir, &section)) {
        refuse("the package in `%s` is not one that this build was prepared for: run `buildperm learn`", escaped(manifest_dir));
    }
    if (!strcmp(section.compile, "off")) {
        unit_leave(&call, &session, &section);
        run(&call);
    }
    compile(&call, &session, &section, false);
}
