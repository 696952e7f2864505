/* What the shim asks for while the compiler runs: processes for macro libraries, tables of macros that were kept, and
   that something it was refused be told. A message is words, each but the last with a NUL behind it.

   Whoever is confined can send anything. For a compiler only its own package is expanded, whatever a message says. */
#include "launcher.h"
#include "quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST = 1 << 18, MOST_HOSTS = 4096, MOST_WORDS = 4096, PATIENCE_MS = 60000 };

/* From a supervisor: what is wrong was said on standard error. */
#define SAID "1\n"

struct host {
    int socket;   /* To the fork server or the supervisor; its end ends the host. */
    pid_t pid;    /* Of a supervisor of our own, or 0. */
    char *library; /* Its file name. */
};

struct requests {
    int control;
    const struct session *session;
    const struct section *section;
    struct unit *unit;
    char **environment;
    struct host hosts[MOST_HOSTS]; /* Memory that is never touched costs nothing. */
    size_t count;
    bool is_well, is_ready;
};

struct requests *requests_begin(int control, const struct session *session, const struct section *section, struct unit *unit, char **environment) {
    struct requests *made = allocate(sizeof *made);
    made->control = control, made->session = session, made->section = section;
    made->unit = unit, made->environment = environment, made->is_well = true;
    return made;
}

bool requests_started(const struct requests *requests, pid_t pid) {
    for (size_t i = 0; i < requests->count; i++) {
        if (requests->hosts[i].pid == pid) return true;
    }
    return quiet_has(pid);
}

/* For the marker. What does not fit must not stay hidden behind what does. */
static void keep_note(struct requests *requests, struct list *list, char *entry) {
    if (unit_note(list, entry)) return;
    if (requests->is_well) say("one compilation has more to tell than fits: `%s` was refused and asked for too much", escaped(requests->section->name));
    requests->is_well = false;
}

/* ---- Which library it is ---- */

struct library {
    char *path, *key, *manifest_dir;
};

static bool find_library(const struct requests *requests, const char *path, struct library *library) {
    size_t size;
    *library = (struct library){.path = real_path(path)};
    if (!library->path || !(library->key = library_key(requests->session, library->path))) return false;
    char *note = formatted("%s/libraries/%s", requests->session->state, library->key);
    library->manifest_dir = read_whole(note, PATH_MAX, &size);
    free(note);
    return library->manifest_dir && *library->manifest_dir;
}

static void forget_library(struct library *library) { free(library->path), free(library->key), free(library->manifest_dir); }

static const char *file_name(const char *path) { return strrchr(path, '/') + 1; }

/* What a kept table is of: `tables/KEY` begins with it. */
static bool tell_identity(const char *path, char identity[64]) {
    struct stat about;
    memset(identity, 0, 64);
    if (stat(path, &about) || !S_ISREG(about.st_mode)) return false;
    snprintf(identity, 64, "%lld %lld.%09ld", (long long)about.st_size, (long long)about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
    return true;
}

static char *table_path(const struct requests *requests, const struct library *library) {
    return formatted("%s/tables/%s", requests->session->state, library->key);
}

/* To where whoever asks wants it: many may share the socket of requests, as rustdoc and the compilers of its tests. */
static void send_table(struct requests *requests, const char *path, int handle) {
    struct library library = {0};
    char identity[64], *table = NULL;
    size_t size = 0;
    static char answer[LONGEST];
    if (find_library(requests, path, &library) && tell_identity(library.path, identity)) {
        char *kept = table_path(requests, &library);
        table = read_whole(kept, LONGEST, &size);
        free(kept);
    }
    if (table && size > sizeof identity && !memcmp(table, identity, sizeof identity) && size - sizeof identity + 6 <= sizeof answer) {
        memcpy(answer, "table", 6);
        memcpy(answer + 6, table + sizeof identity, size - sizeof identity);
        size = size - sizeof identity + 6;
        keep_note(requests, &requests->unit->macros, formatted("%s %s", file_name(library.path), library.manifest_dir));
    } else {
        memcpy(answer, "none", size = 4);
    }
    free(table), forget_library(&library);
    if (send(handle < 0 ? requests->control : handle, answer, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) { /* Whoever asked is gone. */ }
}

/* The first one counts: whoever asks later cannot change what others are told. */
static void keep_table(struct requests *requests, const char *path, const char *table, size_t size) {
    struct library library = {0};
    char identity[64], *data = NULL, *kept = NULL, *old = NULL, *folder = NULL;
    size_t old_size = 0;
    if (!size || !find_library(requests, path, &library) || !tell_identity(library.path, identity)) goto out;
    folder = formatted("%s/tables", requests->session->state);
    make_folder(folder);
    kept = table_path(requests, &library);
    old = read_whole(kept, LONGEST + sizeof identity, &old_size);
    if (old && old_size > sizeof identity && !memcmp(old, identity, sizeof identity)) goto out;
    data = allocate(sizeof identity + size);
    memcpy(data, identity, sizeof identity), memcpy(data + sizeof identity, table, size);
    write_whole(kept, data, sizeof identity + size);
out:
    free(folder), free(kept), free(old), free(data), forget_library(&library);
}

/* ---- Processes for macros ---- */

static void put(FILE *to, const char *key, const char *value) {
    fprintf(to, "%s %s", key, value);
    fputc(0, to);
}

static int connect_to_server(const char *folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int place = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), socket_ = -1;
    if (place < 0) return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/macros", place); /* Of any length. */
    if ((socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 && connect(socket_, (struct sockaddr *)&address, sizeof address)) {
        close(socket_), socket_ = -1;
    }
    close(place);
    return socket_;
}

/* Where there is no fork server: a supervisor of our own, which reads the request from its standard input. */
static int start_supervisor(const struct requests *requests, pid_t *pid) {
    const struct session *session = requests->session;
    int pair[2];
    if (!session->python || !session->supervisor) refuse("there is no supervisor to run macros in: run `buildperm learn`");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) fail("socketpair");
    if ((*pid = fork()) < 0) fail("fork");
    if (!*pid) {
        extern char **environ;
        char *words[] = {(char *)session->python, "-IS", (char *)session->supervisor, "--macro", NULL};
        sigset_t none;
        sigemptyset(&none);
        if (dup2(pair[1], 0) != 0 || sigprocmask(SIG_SETMASK, &none, NULL)) _exit(1);
        /* Build scripts have filled folders that Cargo has loaders search: see rustc-wrapper.sh. */
        char **kept = environ = requests->environment;
        for (char **each = environ; *each; each++) if (!after(*each, "LD_") && !after(*each, "GCONV_PATH=")) *kept++ = *each;
        *kept = NULL;
        execv(words[0], words);
        fail(escaped(words[0]));
    }
    close(pair[1]);
    return pair[0];
}

static bool send_request(int socket, const char *data, size_t size, int bridge) {
    char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    uint8_t length[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16), (uint8_t)(size >> 24)};
    int handles[2] = {bridge, 2};
    struct iovec text = {length, sizeof length};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){CMSG_LEN(sizeof handles), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), handles, sizeof handles);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != sizeof length) return false;
    while (size) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        data += sent, size -= (size_t)sent;
    }
    return true;
}

/* The folder of its recording; a second process of one library in one call gets another one. */
static char *make_host_folder(const struct requests *requests, const char *library, const char *folder) {
    size_t same = 0;
    for (size_t i = 0; i < requests->count; i++) same += !strcmp(requests->hosts[i].library, library);
    char *path = same ? formatted("%s/%s%%%zu", folder, library, same + 1) : formatted("%s/%s", folder, library);
    make_folder(path);
    return path;
}

static char *value_of(char **environment, const char *name) {
    size_t size = strlen(name);
    for (; *environment; environment++) {
        if (!strncmp(*environment, name, size) && (*environment)[size] == '=') return *environment + size + 1;
    }
    return NULL;
}

static bool is_changed(char **changed, const char *variable) {
    size_t size = strcspn(variable, "=");
    for (; *changed; changed++) {
        if (!strncmp(*changed, variable, size) && ((*changed)[size] == '=' || !(*changed)[size])) return true;
    }
    return false;
}

/* A server lives long: the places of hosts that have ended are for others. */
static void forget_ended(struct requests *requests) {
    size_t kept = 0;
    for (size_t i = 0; i < requests->count; i++) {
        struct host *host = requests->hosts + i;
        struct pollfd end = {host->socket, POLLIN, 0};
        if (poll(&end, 1, 0) == 1) {
            quiet_forget(host->socket), close(host->socket), free(host->library);
            if (host->pid) {
                kill(host->pid, SIGTERM);
                while (waitpid(host->pid, NULL, 0) < 0 && errno == EINTR) {}
            }
        } else {
            requests->hosts[kept++] = *host;
        }
    }
    requests->count = kept;
}

/* `words`: the library, and for a server the folder of the package whose code is expanded, its OUT_DIR, the current
   folder, and variables that are not what they were at the start. */
static void start_host(struct requests *requests, char **words, size_t count, int bridge) {
    static char *none[] = {NULL};
    struct library library = {0};
    struct section consumer = *requests->section;
    bool is_server = !requests->unit->source, is_started = false;
    char **changed = none, *folder = requests->unit->folder, *manifest_dir = NULL, *data, here[PATH_MAX];
    const char *out_dir = value_of(requests->environment, "OUT_DIR"), *cwd = getcwd(here, sizeof here);
    size_t size;
    if (!find_library(requests, words[0], &library)) {
        say("`%s` is a macro library that was not compiled under buildperm, and is not run: `cargo clean`, then build again", escaped(words[0]));
        requests->is_well = false;
        goto out;
    }
    if (is_server) {
        /* While it lists macros it works for nobody yet. */
        const char *given = count < 4 || *words[1] ? words[1] : library.manifest_dir;
        if (count < 4 || !(manifest_dir = real_path(given)) || !session_find(requests->session, manifest_dir, &consumer)) goto out;
        out_dir = words[2], cwd = words[3], changed = words + 4;
        forget_ended(requests);
        char *name = formatted("server%%%s", consumer.crate);
        for (char *at = name; *at; at++) if (*at == '/') *at = '%'; /* A key may hold the address of a source. */
        if (strlen(name) > NAME_MAX) name[NAME_MAX] = 0; /* Who it was for is in the recording. */
        folder = formatted("%s/%s", requests->session->state, name);
        make_folder(requests->session->state), make_folder(folder), free(name);
    }
    if (requests->count == MOST_HOSTS) {
        say("one compilation asks for more than %d processes for macros", MOST_HOSTS);
        requests->is_well = false;
        goto out;
    }
    char *place = make_host_folder(requests, file_name(library.path), folder);
    FILE *to = open_memstream(&data, &size);
    if (!to) fail("a request");
    put(to, "macro", "1");
    put(to, "session", requests->session->path ? requests->session->path : "");
    put(to, "library", library.path);
    put(to, "manifest", library.manifest_dir);
    put(to, "consumer", consumer.manifest_dir);
    put(to, "out-dir", out_dir ? out_dir : "");
    put(to, "cwd", cwd ? cwd : "/");
    put(to, "folder", place);
    for (char **each = requests->environment; *each; each++) if (!is_changed(changed, *each)) put(to, "env", *each);
    for (char **each = changed; *each; each++) if (strchr(*each, '=')) put(to, "env", *each);
    if (ferror(to) || fclose(to)) fail("a request");
    struct host *host = requests->hosts + requests->count;
    *host = (struct host){.socket = -1, .library = copied(file_name(library.path))};
    const char *server = value_of(requests->environment, "BUILDPERM_SERVER");
    if (server && *server && (host->socket = quiet_start(server, data, size, bridge)) < 0) {
        host->socket = connect_to_server(server);
    } else if (host->socket >= 0) {
        is_started = true;
    }
    if (host->socket < 0) host->socket = start_supervisor(requests, &host->pid);
    requests->count++;
    if (!is_started && !send_request(host->socket, data, size, bridge)) requests->is_well = false;
    /* By the folder of its recording: a second process is told of like the first. */
    keep_note(requests, &requests->unit->macros, formatted("%s %s", file_name(place), library.manifest_dir));
    free(data), free(place);
out:
    free(manifest_dir), forget_library(&library);
}

/* ---- Messages ---- */

/* What programs look at out of habit, and what hurts nobody: rules/baseline.py, QUIET. */
static bool is_habit(const char *path) {
    static const char *const own[] = {"/proc/self/", "/proc/thread-self/", NULL}, *const habits[] = {"/proc/sys/", "/sys/fs/cgroup/", NULL};
    const char *rest;
    for (const char *const *each = own; *each; each++) if ((rest = after(path, *each)) && !strchr(rest, '/')) return true;
    for (const char *const *each = habits; *each; each++) if (after(path, *each) && !strstr(path, "/..")) return true;
    return !strcmp(path, "/dev/tty");
}

static void refused(struct requests *requests, const char *kind, const char *path) {
    if (is_habit(path)) return;
    if (!strcmp(kind, "read") || !strcmp(kind, "write")) keep_note(requests, &requests->unit->refused, formatted("%s %s", kind, path));
}

static void answer(struct requests *requests, char **words, size_t count, const char *rest, size_t size, int handle) {
    const char *what = words[0];
    if (!strcmp(what, "ready")) requests->is_ready = true;
    else if (!strcmp(what, "refused") && count == 3) refused(requests, words[1], words[2]);
    else if (!strcmp(what, "asked") && count == 3 && !strcmp(words[1], "env")) keep_note(requests, &requests->unit->asked, formatted("env %s", words[2]));
    else if (!strcmp(what, "table?") && count == 2) send_table(requests, words[1], handle);
    else if (!strcmp(what, "table") && rest) keep_table(requests, words[1], rest, size);
    else if (!strcmp(what, "host") && count >= 2 && handle >= 0) start_host(requests, words + 1, count - 1, handle);
}

/* Whether more may come. */
bool requests_answer(struct requests *requests) {
    static char text[LONGEST + 1];
    static char *words[MOST_WORDS + 1];
    char control[CMSG_SPACE(4 * sizeof(int))];
    struct iovec parts = {text, LONGEST};
    struct msghdr message = {.msg_iov = &parts, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(requests->control, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    int handle = -1;
    if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < (each->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int one;
            memcpy(&one, CMSG_DATA(each) + i * sizeof one, sizeof one);
            if (handle < 0) handle = one;
            else close(one);
        }
    }
    if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        size_t count = 0, at = 0;
        text[size] = 0;
        while (at < (size_t)size && count < MOST_WORDS) words[count++] = text + at, at += strlen(text + at) + 1;
        words[count] = NULL;
        const char *rest = count >= 2 ? words[1] + strlen(words[1]) + 1 : NULL;
        if (rest && rest > text + size) rest = NULL;
        answer(requests, words, count, rest, rest ? (size_t)(text + size - rest) : 0, handle);
    }
    if (handle >= 0) close(handle);
    return true;
}

bool requests_ready(const struct requests *requests) { return requests->is_ready; }

/* The hosts read the end of their stream, and end. What they were seen doing is complete when the answer comes. */
bool requests_end(struct requests *requests) {
    close(requests->control);
    quiet_end(PATIENCE_MS);
    for (size_t i = 0; i < requests->count; i++) {
        struct host *host = requests->hosts + i;
        char line[32] = {0};
        size_t size = 0;
        struct pollfd wait = {host->socket, POLLIN, 0};
        while (size < sizeof line - 1 && !strchr(line, '\n')) {
            if (poll(&wait, 1, PATIENCE_MS) <= 0) break;
            ssize_t got = recv(host->socket, line + size, sizeof line - 1 - size, 0);
            if (got <= 0) break;
            size += (size_t)got;
        }
        quiet_forget(host->socket), close(host->socket);
        if (host->pid) {
            if (!size) kill(host->pid, SIGTERM);
            while (waitpid(host->pid, NULL, 0) < 0 && errno == EINTR) {}
        }
        if (strcmp(line, "0\n")) requests->is_well = false;
        if (strcmp(line, "0\n") && strcmp(line, SAID)) {
            say("the process that ran the macros of `%s` did not end well%s%s", escaped(host->library), *line ? ": status " : "", *line ? escaped(strtok(line, "\n")) : "");
        }
    }
    return requests->is_well;
}
