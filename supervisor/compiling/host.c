/* The process of one library of procedural macros: `host LIBRARY`, with the shim of a compiler behind the socket 3.

   It is confined before it starts. The library's constructors run here as well, and whatever the library does to this
   process harms nobody but itself: the shim believes nothing that it is told. */
#define _GNU_SOURCE
#include "table.h"
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK = 8 << 20 }; /* As rustc gives to the thread that runs macros, and Linux to a process; RUST_MIN_STACK may ask for more. */

static void *library;
static struct bridge bridge;
static enum layout layout;
static struct foreseen foreseen;
static char symbol[SYMBOL_MOST + 1];
static struct buffer queue;    /* Calls that are answered, each behind its `struct queued`. */
static uint32_t next;          /* The handle that the compiler gives next; 0: who knows. */
static int status = 1;

static void put_u32(struct buffer *b, size_t value)
{
    buffer_put(b, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
}

static void put_text(struct buffer *b, struct text text)
{
    put_u32(b, text.length);
    buffer_put(b, text.data, text.length);
}

static void put_table(struct buffer *b, const struct declarations *declared)
{
    buffer_put(b, &(uint8_t){(uint8_t)layout}, 1);
    put_text(b, (struct text){symbol, strlen(symbol)});
    put_u32(b, declared->count);
    const struct macro *macro = declared->first, *end = layout == LAYOUT_BARE ? macro : macro + declared->count;
    for (; macro < end; macro++) {
        size_t attributes = macro->kind == KIND_DERIVE ? macro->derive.count : 0;
        buffer_put(b, &(uint8_t){(uint8_t)macro->kind}, 1);
        put_text(b, macro->name);
        put_u32(b, attributes);
        for (size_t i = 0; i < attributes; i++)
            put_text(b, macro->derive.attributes[i]);
    }
}

static run_function run_of(const struct declarations *declared, size_t at)
{
    if (layout == LAYOUT_BARE)
        return ((const run_function *)declared->first)[at];
    const struct macro *macro = (const struct macro *)declared->first + at;
    return macro->kind == KIND_DERIVE ? macro->derive.client.run : macro->client.run;
}

/* ---- What a macro asks of the compiler ---- */

static _Noreturn void end(void)
{
    _exit(1); /* The compiler has ended. */
}

/* Has the compiler make what is queued, before memory grows. */
static void flush(void)
{
    static struct buffer nothing;
    struct frame head;
    if (!nothing.reserve)
        nothing = buffer_empty();
    if (bridge_say(bridge, FRAME_QUEUED, queue.length, queue.data, queue.length) || bridge_hear(bridge, &head, &nothing)
        || head.kind != FRAME_ANSWER || nothing.length)
        end();
    queue.length = 0;
}

/* Answers a call that will be made later. */
static struct buffer answer(struct buffer b, uint32_t handle)
{
    struct queued call = {(uint32_t)b.length, handle};
    buffer_put(&queue, &call, sizeof call);
    buffer_put(&queue, b.data, b.length);
    if (queue.length >= QUEUE_MOST)
        flush();
    b.length = 0;
    buffer_put(&b, "", 1); /* Ok */
    buffer_put(&b, &handle, handle ? sizeof handle : 0);
    return b;
}

static int speak(uint32_t kind, const struct buffer *b)
{
    struct frame head = {kind, 0, queue.length};
    int failed = bridge_say_both(bridge, head, (struct iovec){queue.data, queue.length}, (struct iovec){b->data, b->length});
    queue.length = 0;
    return failed;
}

static struct buffer ask(void *unused, struct buffer b)
{
    struct frame head;
    enum foreseen_as foreseen_as = foresee(&foreseen, b.data, b.length);
    (void)unused;
    if (b.length < QUEUE_MOST) {
        if (foreseen_as == FORESEEN_DROP)
            return answer(b, 0);
        if (foreseen_as == FORESEEN_MAKE && next)
            return answer(b, next++);
    }
    if (speak(FRAME_CALL, &b) || bridge_hear(bridge, &head, &b) || head.kind != FRAME_ANSWER)
        end();
    next = (uint32_t)head.extra;
    if (!next && foreseen_as == FORESEEN_MAKE && b.length == 1 + sizeof next && !b.data[0]) {
        memcpy(&next, b.data + 1, sizeof next);
        next++;
    }
    return b;
}

/* Compiler and host take turns: to wake another processor each time takes longer than most answers. */
static void follow(unsigned processor)
{
    static _Thread_local unsigned last = CPU_SETSIZE;
    cpu_set_t one;
    if (processor == last || processor >= CPU_SETSIZE)
        return;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (!sched_setaffinity(0, sizeof one, &one))
        last = processor;
}

static void fail(const char *why)
{
    bridge_say(bridge, FRAME_FAILED, 0, why, strlen(why));
}

static void *serve(void *unused)
{
    const struct declarations *declared = dlsym(library, symbol);
    struct buffer b = buffer_empty();
    struct frame head;
    queue = buffer_empty();
    if (!declared)
        return fail("the library does not name its macros"), unused;
    put_table(&b, declared);
    if (bridge_say(bridge, FRAME_TABLE, 0, b.data, b.length))
        return unused;
    while (!bridge_hear(bridge, &head, &b)) {
        size_t at = head.extra >> 33 & 0x7fff;
        if (head.kind != FRAME_RUN || at >= declared->count)
            return unused;
        follow(head.extra >> 48);
        next = (uint32_t)head.extra;
        b = run_of(declared, at)((struct config){b, ask, 0, head.extra >> 32 & 1});
        if (speak(FRAME_DONE, &b))
            return unused;
        b.drop(b);
        b = buffer_empty();
    }
    status = 0;
    return unused;
}

/* LOAD, and the pipes that come with it. */
static int accept_bridge(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct frame head;
    struct iovec parts[3] = {{&head, sizeof head}, {&foreseen, sizeof foreseen}, {symbol, SYMBOL_MOST}};
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 3, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(HOST_DESCRIPTOR, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *first = got > 0 ? CMSG_FIRSTHDR(&message) : 0;
    if (!first || first->cmsg_len != CMSG_LEN(2 * sizeof(int)) || first->cmsg_type != SCM_RIGHTS
        || head.kind != FRAME_LOAD || head.extra >= LAYOUTS || head.size < sizeof foreseen
        || (size_t)got != sizeof head + head.size)
        return -1;
    memcpy(&bridge, CMSG_DATA(first), sizeof bridge);
    layout = (enum layout)head.extra;
    close(HOST_DESCRIPTOR);
    return 0;
}

static void be_told(int signal)
{
    (void)signal; /* As an error of writev(2). What is executed by macros has the default again. */
}

/* A second thread is one more that somebody has to watch. */
static int has_stack(size_t wanted)
{
    struct rlimit limit;
    return !getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur >= wanted;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    pthread_t thread;
    const char *wanted = getenv("RUST_MIN_STACK");
    size_t stack = wanted ? strtoul(wanted, 0, 10) : 0;
    if (argc != 2) {
        fprintf(stderr, "host: wants the path of a library\n");
        return 2;
    }
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = be_told, .sa_flags = SA_RESTART}, 0);
    if (accept_bridge())
        return 1; /* The compiler has ended. */
    if (!(library = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL))) {
        fail(dlerror());
        return 1;
    }
    if (stack < STACK)
        stack = STACK;
    if (has_stack(stack))
        serve(0);
    else if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, stack)
        || pthread_create(&thread, &attributes, serve, 0) || pthread_join(thread, 0)) {
        fail("no thread could be started");
        return 1;
    }
    return status;
}
