/* Libraries of procedural macros as a compiler sees them, and the processes that stand behind them.

   A library has a host per use: one for rustc, one more while a macro is expanded within a macro, and for a server one for
   each crate. A host that ends, or answers what is no answer, fails the expansion, and nothing else. */
#define _GNU_SOURCE
#include "shim.h"
#include "entries.h"
#include "shim_calls.h"
#include "shim_requests.h"
#include "table.h"
#include <sched.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
    IDLE_MOST = 4,      /* Hosts of one library that wait for more work. */
    FAILURES_MOST = 8,  /* In a row: then rustc gets no more hosts of a library. A server, which lives for long, does. */
    BUSY_MOST = 64,     /* Hosts of one library at a time: macros within macros. */
    REASON_MOST = 512,
};

struct host {
    struct bridge bridge;
    int busy;
    uint64_t place; /* A digest of folder and environment that it was started with. */
    struct host *next;
};
struct library {
    char *path, *name;  /* name: as the crate is called. */
    char *symbol;
    struct buffer bytes; /* The table as it was said, which `table` points into. */
    struct table table;
    struct declarations declared;
    size_t *numbers;    /* Of its entries (shim_entries.c). */
    struct host *hosts; /* Used last comes first. */
    unsigned failures;
    struct library *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* Of the libraries, and of their hosts. */
static struct library *libraries;

/* ---- Hosts ---- */

/* LOAD, with the ends of the pipes that a host uses. */
static int say_load(int socket, const char *symbol, const int ends[2])
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    size_t size = strlen(symbol);
    struct frame head = {FRAME_LOAD, (uint32_t)(sizeof shim.foreseen + size), shim.layout};
    struct iovec parts[] = {
        {&head, sizeof head}, {&shim.foreseen, sizeof shim.foreseen}, {(void *)(uintptr_t)symbol, size}};
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 3, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    first->cmsg_len = CMSG_LEN(2 * sizeof *ends), first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(first), ends, 2 * sizeof *ends);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)(sizeof head + head.size) ? 0 : -1;
}

static void close_bridge(struct bridge bridge)
{
    close(bridge.in);
    close(bridge.out);
}

static int start(struct library *library, struct bridge *bridge)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1}, pair[2] = {-1, -1};
    int failed = pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)
        || requests_host(library->path, pair[1]) || say_load(pair[0], library->symbol, (int[]){to[0], from[1]});
    close(pair[0]), close(pair[1]), close(to[0]), close(from[1]);
    *bridge = (struct bridge){from[0], to[1]};
    if (failed)
        close_bridge(*bridge);
    return failed ? -1 : 0;
}

/* rustc ends at a SIGPIPE, and shall not because a host has ended. */
static void block_signal(sigset_t *before)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &blocked, before);
}

static void unblock_signal(const sigset_t *before, int failed)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    if (failed && !sigismember(before, SIGPIPE))
        sigtimedwait(&blocked, 0, &(struct timespec){0, 0});
    pthread_sigmask(SIG_SETMASK, before, 0);
}

/* Into plain ASCII: it comes from the host. */
static void keep_reason(char *why, const struct buffer *said)
{
    size_t size = said->length < REASON_MOST - 1 ? said->length : REASON_MOST - 1;
    for (size_t i = 0; i < size; i++)
        why[i] = said->data[i] < ' ' || said->data[i] > '~' ? '?' : (char)said->data[i];
    why[size] = 0;
}

/* Have a new host name its macros. The answer is left in `b`. */
static int load(struct bridge bridge, struct buffer *b, char *why)
{
    struct frame head;
    if (bridge_hear(bridge, &head, b))
        snprintf(why, REASON_MOST, "it did not start");
    else if (head.kind == FRAME_FAILED)
        keep_reason(why, b);
    else if (head.kind == FRAME_TABLE)
        return 0;
    else
        snprintf(why, REASON_MOST, "it answered what is no answer");
    return -1;
}

static struct host *take_idle(struct library *library, uint64_t place, int *busy)
{
    struct host *found;
    *busy = 0;
    pthread_mutex_lock(&lock);
    for (found = library->hosts; found && (found->busy || found->place != place); found = found->next)
        *busy += found->busy;
    if (found)
        found->busy = 1;
    pthread_mutex_unlock(&lock);
    return found;
}

static struct host *host_for(struct library *library, struct buffer *b, char *why)
{
    uint64_t place = requests_place();
    int busy;
    struct host *host = take_idle(library, place, &busy);
    if (host)
        return host;
    if (busy >= BUSY_MOST) {
        snprintf(why, REASON_MOST, "its macros expand one another more than %d times", BUSY_MOST);
        return 0;
    }
    if (__atomic_load_n(&library->failures, __ATOMIC_RELAXED) >= FAILURES_MOST && !(shim.flags & SHIM_SERVER)) {
        snprintf(why, REASON_MOST, "it failed %d times in a row", FAILURES_MOST);
        return 0;
    }
    if (!(host = calloc(1, sizeof *host)) || start(library, &host->bridge)) {
        snprintf(why, REASON_MOST, "it could not be asked for");
        free(host);
        return 0;
    }
    host->busy = 1, host->place = place;
    int failed = load(host->bridge, b, why);
    if (!failed && (b->length != library->bytes.length || memcmp(b->data, library->bytes.data, b->length))) {
        snprintf(why, REASON_MOST, "its macros are not those that it had before");
        failed = 1;
    }
    if (failed) {
        __atomic_add_fetch(&library->failures, 1, __ATOMIC_RELAXED);
        close_bridge(host->bridge);
        free(host);
        return 0;
    }
    pthread_mutex_lock(&lock);
    host->next = library->hosts, library->hosts = host;
    pthread_mutex_unlock(&lock);
    return host;
}

/* Puts a host in front of the others; ends it if it failed, or those that were used least if too many wait. */
static void give_back(struct library *library, struct host *host, int failed)
{
    struct host *ended = 0, **at;
    int idle = 0;
    pthread_mutex_lock(&lock);
    for (at = &library->hosts; *at != host;)
        at = &(*at)->next;
    *at = host->next;
    if (failed)
        library->failures++, host->next = 0, ended = host;
    else
        library->failures = 0, host->busy = 0, host->next = library->hosts, library->hosts = host;
    for (at = &library->hosts; *at;) {
        struct host *each = *at;
        if (each->busy || ++idle <= IDLE_MOST)
            at = &each->next;
        else
            *at = each->next, each->next = ended, ended = each;
    }
    pthread_mutex_unlock(&lock);
    for (struct host *next; ended; ended = next) {
        next = ended->next;
        close_bridge(ended->bridge);
        free(ended);
    }
}

/* Err(PanicMessage::String(text)), as rpc.rs has it. */
static void put_failure(struct buffer *b, const struct library *library, const char *why)
{
    char text[REASON_MOST + 512];
    int size = snprintf(text, sizeof text, "buildperm: the process for the macros of `%.256s` failed: %s", library->name, why);
    b->length = 0;
    buffer_put(b, "\1\0", 2);
    buffer_put(b, &(uint64_t){(uint64_t)size}, 8);
    buffer_put(b, text, (size_t)size);
}

/* Ok(handle…), or Err(PanicMessage): rustc panics over anything else, which would not say whose fault it is. */
static int is_result(const struct buffer *b)
{
    uint64_t size;
    if (b->length < 2 || b->data[0] > 1)
        return 0;
    if (b->data[0] == 0)
        return b->length <= 9;
    if (b->data[1] != 0)
        return b->data[1] == 1 && b->length == 2;
    if (b->length < 10)
        return 0;
    memcpy(&size, b->data + 2, sizeof size);
    return size == b->length - 10 && table_is_utf8(b->data + 10, b->data + b->length);
}

/* Keeps this thread on its processor, which the host then uses as well: see `follow` there. `all`: what it may use. */
static uint64_t stay(cpu_set_t *all)
{
    cpu_set_t one;
    int processor = sched_getcpu();
    if (processor < 0 || processor >= CPU_SETSIZE || sched_getaffinity(0, sizeof *all, all))
        return 0xffff;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    return sched_setaffinity(0, sizeof one, &one) ? 0xffff : (uint64_t)processor;
}

struct buffer hosts_forward(struct config config, uint64_t number)
{
    size_t index;
    struct library *library = entries_find(number, &index);
    struct calls calls = {.config = &config, .name = library->name, .said = buffer_empty(), .b = buffer_empty()};
    char reason[REASON_MOST] = "it has ended";
    const char *why = reason;
    sigset_t before;
    block_signal(&before);
    struct host *host = host_for(library, &calls.said, reason);
    cpu_set_t all;
    uint64_t processor = stay(&all), what = run_extra(processor, index, config.force_show_panics, calls_next());
    if (host)
        calls.bridge = host->bridge;
    int failed = !host || bridge_say(host->bridge, FRAME_RUN, what, config.input.data, config.input.length);
    config.input.drop(config.input);
    failed = failed || calls_serve(&calls, &why);
    if (!failed && calls.head.kind == FRAME_FAILED) {
        keep_reason(reason, &calls.b);
        failed = 1;
    } else if (!failed && (calls.head.kind != FRAME_DONE || !is_result(&calls.b))) {
        why = "it answered what is no answer";
        failed = 1;
    }
    if (processor < CPU_SETSIZE)
        sched_setaffinity(0, sizeof all, &all);
    if (host)
        give_back(library, host, failed);
    unblock_signal(&before, failed);
    if (failed)
        put_failure(&calls.b, library, why);
    shim_served(library->name);
    calls.said.drop(calls.said);
    return calls.b;
}

/* ---- Libraries ---- */

/* PATH/libNAME-HASH.so */
static char *crate_name(const char *path)
{
    const char *file = strrchr(path, '/') + 1;
    if (!strncmp(file, "lib", 3))
        file += 3;
    const char *end = strrchr(file, '-');
    if (!end && !(end = strrchr(file, '.')))
        end = file + strlen(file);
    char *name = strndup(file, (size_t)(end - file));
    for (char *at = name; at && *at; at++)
        if (*at <= ' ' || *at > '~')
            *at = '?'; /* It stands in a message that has to be UTF-8. */
    return name;
}

void *hosts_open(const char *path)
{
    struct library *library = calloc(1, sizeof *library);
    if (!library || !(library->path = realpath(path, 0)) || !(library->name = crate_name(path))) {
        if (library)
            free(library->path);
        free(library);
        return shim.dlopen("/buildperm: there is no such library", 0); /* For dlerror(). */
    }
    library->bytes = buffer_empty();
    pthread_mutex_lock(&lock);
    library->next = libraries, libraries = library;
    pthread_mutex_unlock(&lock);
    return library;
}

int hosts_know(void *handle)
{
    pthread_mutex_lock(&lock);
    struct library *each = libraries;
    while (each && each != handle)
        each = each->next;
    pthread_mutex_unlock(&lock);
    return each != 0;
}

void hosts_close(void *handle)
{
    struct library *library = handle, **at;
    pthread_mutex_lock(&lock);
    for (at = &libraries; *at && *at != library;)
        at = &(*at)->next;
    if (*at)
        *at = library->next;
    pthread_mutex_unlock(&lock);
    if (library->numbers)
        entries_free(library->numbers, library->table.count);
    for (struct host *host = library->hosts, *next; host; host = next) {
        next = host->next;
        close_bridge(host->bridge);
        free(host);
    }
    if (library->table.macros == 0)
        free(library->declared.first);
    table_free(&library->table);
    library->bytes.drop(library->bytes);
    free(library->path), free(library->name), free(library->symbol), free(library);
}

/* The table is right for this library and this compiler. */
static int read_table(struct library *library)
{
    struct table *table = &library->table;
    if (table_read(table, library->bytes.data, library->bytes.length))
        return -1;
    if (table->layout == shim.layout && table->symbol.length == strlen(library->symbol)
        && !memcmp(table->symbol.data, library->symbol, table->symbol.length))
        return 0;
    table_free(table);
    return -1;
}

static int declare(struct library *library)
{
    struct table *table = &library->table;
    run_function *bare = table->macros ? 0 : calloc(table->count + 1, sizeof *bare);
    if ((!table->macros && !bare) || !(library->numbers = entries_take(library, table->count))) {
        free(bare);
        return -1;
    }
    for (size_t i = 0; i < table->count; i++) {
        struct client made = entries_client(library->numbers[i]);
        if (bare)
            bare[i] = made.run;
        else if (table->macros[i].kind == KIND_DERIVE)
            table->macros[i].derive.client = made;
        else
            table->macros[i].client = made;
    }
    library->declared = (struct declarations){bare ? (void *)bare : (void *)table->macros, table->count};
    return 0;
}

/* From the launcher's store, or from a host, which is kept for the first expansion. */
static int fetch_table(struct library *library, char *why)
{
    struct host *host = 0;
    if (requests_table(library->path, &library->bytes) && !read_table(library))
        return 0;
    if (!(host = calloc(1, sizeof *host)) || start(library, &host->bridge)) {
        free(host);
        snprintf(why, REASON_MOST, "it could not be asked for");
        return -1;
    }
    host->place = requests_place();
    int failed = load(host->bridge, &library->bytes, why);
    if (!failed && (failed = read_table(library)))
        snprintf(why, REASON_MOST, "what it says that its macros are is no list of macros");
    if (failed) {
        close_bridge(host->bridge);
        free(host);
        return -1;
    }
    library->hosts = host;
    requests_keep(library->path, &library->bytes);
    return 0;
}

void *hosts_symbol(void *handle, const char *name, const char **why)
{
    static __thread char sentence[REASON_MOST + 512];
    static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
    static const char beginning[] = "__rustc_proc_macro_decls_";
    struct library *library = handle;
    char reason[REASON_MOST] = "";
    *why = sentence;
    if (strncmp(name, beginning, strlen(beginning)) || strlen(name) > SYMBOL_MOST) {
        snprintf(sentence, sizeof sentence, "`%.256s` is not opened in a compiler, but only as a library of macros", library->path);
        return 0;
    }
    pthread_mutex_lock(&loading);
    int failed = library->symbol && strcmp(library->symbol, name);
    if (!library->symbol) {
        failed = !(library->symbol = strdup(name)) || fetch_table(library, reason);
        if (!failed && (failed = declare(library)))
            snprintf(reason, sizeof reason, "more than %d macros are loaded", MACROS_MOST);
    }
    failed = failed || !library->declared.first;
    pthread_mutex_unlock(&loading);
    snprintf(sentence, sizeof sentence, "the process for the macros of `%.256s` failed: %s", library->name,
             *reason ? reason : "it could not be used before");
    return failed ? 0 : &library->declared;
}
