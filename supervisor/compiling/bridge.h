/* What the shim in a compiler and a macro host say to each other: frames, in turns.

   Inside a frame is what rustc and a procedural macro say to each other (library/proc_macro/src/bridge in Rust, all of
   it repr(C)), which nobody here looks into. Both ends use this file; each takes the other for hostile.

     shim                         host
     LOAD layout, symbol   ─▶                                  on the socket, with a pipe for each direction
                           ◀─     TABLE bytes (table.h)        or FAILED text; from here on in the pipes
     RUN macro, input      ─▶
                           ◀─     CALL bytes                   any number of times
     ANSWER bytes          ─▶
                           ◀─     DONE bytes                   or FAILED text

   Pipes take half the time of a socket. The recorder of a host stops at neither readv(2) nor writev(2).                 */
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
enum { FRAME_LOAD = 1, FRAME_TABLE, FRAME_RUN, FRAME_CALL, FRAME_ANSWER, FRAME_DONE, FRAME_FAILED };
enum {
    FRAME_MOST = 1 << 30, /* Bytes in a frame. */
    FRAME_FIRST = 16384,  /* So many are read with the head. */
    SYMBOL_MOST = 4096,
    HOST_DESCRIPTOR = 3,
};
struct frame {
    uint32_t kind, size;
    uint64_t extra; /* LOAD: the layout. RUN: the processor << 48 | number of the macro << 8 | force_show_panics. */
};

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
static inline int bridge_say(struct bridge to, uint32_t kind, uint64_t extra, const void *data, size_t size)
{
    if (size > FRAME_MOST)
        return -1;
    struct frame head = {kind, (uint32_t)size, extra};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)(uintptr_t)data, size}}, *part = parts, *end = parts + 2;
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
