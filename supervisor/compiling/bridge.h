/* What the shim in a compiler and a macro host say to each other: frames, in turns.

   Inside a frame is what rustc and a procedural macro say to each other (library/proc_macro/src/bridge in Rust, all of
   it repr(C)), which nobody here looks into. Both ends use this file; each takes the other for hostile.

     shim                           host
     LOAD layout, foreseen, symbol ─▶                               on the socket, with a pipe for each direction
                                   ◀─  TABLE bytes (table.h)        or FAILED text; from here on in the pipes
     RUN macro, input              ─▶
                                   ◀─  CALL queued calls, bytes     any number of times; or QUEUED queued calls
     ANSWER bytes                  ─▶
                                   ◀─  DONE queued calls, bytes     or FAILED text

   Pipes take half the time of a socket. The recorder of a host stops at neither readv(2) nor writev(2).

   To wake the other end takes ten times as long as most answers, and most of them are foreseen: a token stream is dropped,
   which is answered by `Ok(())`, or made, which is answered by `Ok(handle)`, and handles are counted. The host answers such
   a call itself and queues it. The shim makes queued calls in their order, and before whatever comes behind them; each has
   to be answered as the host has answered it, or the expansion fails. So a macro that goes on has seen what it would have
   seen without a queue. Which calls these are is found out for each tool chain (sandbox/foreseen_calls.py).             */
#ifndef BUILDPERM_BRIDGE_H
#define BUILDPERM_BRIDGE_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* ---- Rust's side: proc_macro::bridge ---- */
struct buffer {
    uint8_t *data;
    size_t length, capacity;
    struct buffer (*reserve)(struct buffer, size_t);
    void (*drop)(struct buffer);
};
struct config {
    struct buffer input;
    struct buffer (*call)(void *, struct buffer);
    void *environment;
    uint8_t force_show_panics;
};
typedef struct buffer (*run_function)(struct config);
struct text {
    const char *data;
    size_t length;
};
struct client {
    void *counters; /* LAYOUT_POINTER: HandleCounters. LAYOUT_FUNCTION: a function that returns them. */
    run_function run;
};
struct macro {
    uint32_t kind;
    struct text name;
    union {
        struct {
            struct text *attributes;
            size_t count;
            struct client client;
        } derive;
        struct client client;
    };
};
struct declarations { /* &[ProcMacro]; LAYOUT_BARE: a list of `run` functions alone. */
    void *first;
    size_t count;
};
enum { KIND_DERIVE, KIND_ATTRIBUTE, KIND_BANG };
enum layout {
    LAYOUT_BARE = 0,     /* From Rust 1.98. What a macro is called is in the library's metadata alone. */
    LAYOUT_POINTER = 1,  /* From 1.83. */
    LAYOUT_FUNCTION = 2, /* From 1.64. */
    LAYOUTS
};

/* ---- Between shim and host ---- */
enum { FRAME_LOAD = 1, FRAME_TABLE, FRAME_RUN, FRAME_CALL, FRAME_ANSWER, FRAME_DONE, FRAME_FAILED, FRAME_QUEUED };
enum {
    FRAME_MOST = 1 << 30, /* Bytes in a frame. */
    FRAME_FIRST = 16384,  /* So many are read with the head. */
    QUEUE_MOST = 49152,   /* So many are queued at most, and one call: what a pipe holds at a time. */
    SYMBOL_MOST = 4096,
    FORESEEN_MOST = 7,
    HOST_DESCRIPTOR = 3,
};
struct frame {
    uint32_t kind, size;
    uint64_t extra; /* LOAD: the layout. RUN: see run_extra(). CALL, DONE: how many bytes are queued calls. ANSWER: the handle
                       that is given next; 0: who knows. */
};
/* Calls with answers that are foreseen. Bytes only: how they are written in hexadecimal is how they lie here. */
struct foreseen {
    uint8_t head;    /* So many bytes say what is called: 1, 2; 0: nothing is foreseen. */
    uint8_t counter; /* Which u32 of HandleCounters counts token streams; NO_COUNTER. */
    uint8_t drop[2];
    uint8_t make[FORESEEN_MOST][2]; /* The first of them for those that there are not. */
};
enum { NO_COUNTER = 0xff };
enum foreseen_as { NOT_FORESEEN, FORESEEN_DROP, FORESEEN_MAKE };
struct queued {
    uint32_t size;   /* Of the call, which lies behind it. */
    uint32_t handle; /* In its answer; 0: the answer is empty. */
};

static inline enum foreseen_as foresee(const struct foreseen *foreseen, const uint8_t *call, size_t size)
{
    if (!foreseen->head || size < foreseen->head)
        return NOT_FORESEEN;
    if (!memcmp(call, foreseen->drop, foreseen->head))
        return FORESEEN_DROP;
    for (size_t i = 0; i < FORESEEN_MOST; i++)
        if (!memcmp(call, foreseen->make[i], foreseen->head))
            return FORESEEN_MAKE;
    return NOT_FORESEEN;
}

/* What RUN says besides: on which processor, which macro, whether it shows its panics, which handle is given next. */
static inline uint64_t run_extra(uint64_t processor, size_t macro, int shows_panics, uint32_t next)
{
    return processor << 48 | (uint64_t)macro << 33 | (uint64_t)(shows_panics & 1) << 32 | next;
}

static inline struct buffer buffer_reserve(struct buffer b, size_t more)
{
    size_t wanted = b.length + more;
    if (wanted < more)
        abort();
    if (wanted < b.capacity * 2)
        wanted = b.capacity * 2;
    if (!(b.data = realloc(b.data, wanted)))
        abort();
    b.capacity = wanted;
    return b;
}

static inline void buffer_drop(struct buffer b)
{
    free(b.data);
}

static inline struct buffer buffer_empty(void)
{
    return (struct buffer){0, 0, 0, buffer_reserve, buffer_drop};
}

/* Room for `more` bytes behind what is in it. A buffer may be Rust's: then its own function makes room. */
static inline void buffer_need(struct buffer *b, size_t more)
{
    if (b->capacity - b->length < more)
        *b = b->reserve(*b, more);
}

static inline void buffer_put(struct buffer *b, const void *data, size_t size)
{
    buffer_need(b, size);
    if (size)
        memcpy(b->data + b->length, data, size);
    b->length += size;
}

struct bridge {
    int in, out;
};

/* SIGPIPE has to be blocked, or handled. */
static inline int bridge_say_both(struct bridge to, struct frame head, struct iovec first, struct iovec second)
{
    if (first.iov_len > FRAME_MOST || second.iov_len > FRAME_MOST - first.iov_len)
        return -1;
    head.size = (uint32_t)(first.iov_len + second.iov_len);
    struct iovec parts[] = {{&head, sizeof head}, first, second}, *part = parts, *end = parts + 3;
    while (part < end) {
        ssize_t sent = writev(to.out, part, (int)(end - part));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        for (; part < end && (size_t)sent >= part->iov_len; part++)
            sent -= (ssize_t)part->iov_len;
        if (part < end) {
            part->iov_base = (char *)part->iov_base + sent;
            part->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

static inline int bridge_say(struct bridge to, uint32_t kind, uint64_t extra, const void *data, size_t size)
{
    struct iovec whole = {(void *)(uintptr_t)data, size}, nothing = {0, 0};
    return bridge_say_both(to, (struct frame){kind, 0, extra}, whole, nothing);
}

static inline ssize_t bridge_receive(int fd, void *to, size_t most)
{
    struct iovec part = {to, most};
    ssize_t got;
    do
        got = readv(fd, &part, 1);
    while (got < 0 && errno == EINTR);
    return got;
}

/* One frame, which is all that there may be: the other end has to wait for an answer. Memory grows with what arrives, not
   with what is announced. */
static inline int bridge_hear(struct bridge from, struct frame *head, struct buffer *to)
{
    uint8_t first[FRAME_FIRST];
    size_t have = 0;
    ssize_t got;
    to->length = 0;
    for (; have < sizeof *head; have += (size_t)got)
        if ((got = bridge_receive(from.in, first + have, sizeof first - have)) <= 0)
            return -1;
    memcpy(head, first, sizeof *head);
    have -= sizeof *head;
    if (head->size > FRAME_MOST || have > head->size)
        return -1;
    buffer_put(to, first + sizeof *head, have);
    while (to->length < head->size) {
        size_t left = head->size - to->length, most = to->length > 65536 ? to->length : 65536;
        if (left > most)
            left = most;
        buffer_need(to, left);
        if ((got = bridge_receive(from.in, to->data + to->length, left)) <= 0)
            return -1;
        to->length += (size_t)got;
    }
    return 0;
}

#endif
