/* Makes the calls that are in a host's frames (bridge.h), in their order. Every byte of a frame may have been chosen by an
   attacker; to which methods and handles calls lead, rustc checks itself. */
#define _GNU_SOURCE
#include "shim_calls.h"
#include "entries.h"
#include "shim.h"
#include <stdio.h>

enum { TOLD_MOST = 64 }; /* Bytes of a call, and of its answer. */

uint32_t calls_next(void)
{
    return shim.foreseen.head && shim.foreseen.counter < COUNTERS ? entries_count(shim.foreseen.counter) : 0;
}

static char *put_hexadecimal(char *at, const struct buffer *b)
{
    for (size_t i = 0; i < b->length && i < TOLD_MOST; i++)
        at += sprintf(at, "%02x", b->data[i]);
    return at + 1;
}

/* For the test of a tool chain: `called CALL ANSWER COUNTER`; the last is the one counter that moved by one, or `-`. */
static struct buffer call_and_tell(const struct calls *calls)
{
    uint32_t before[COUNTERS];
    char words[sizeof "called" + 2 * (2 * TOLD_MOST + 1) + 16] = "called", *at = words + sizeof "called";
    int moved = -1, count = 0;
    for (unsigned i = 0; i < COUNTERS; i++)
        before[i] = entries_count(i);
    at = put_hexadecimal(at, &calls->b);
    struct buffer b = calls->config->call(calls->config->environment, calls->b);
    for (unsigned i = 0; i < COUNTERS; i++)
        if (entries_count(i) != before[i])
            moved = (int)i, count += entries_count(i) == before[i] + 1 ? 1 : 2;
    at = put_hexadecimal(at, &b);
    at += count == 1 ? sprintf(at, "%d", moved) : sprintf(at, "-");
    shim_say(words, (size_t)(at + 1 - words), -1);
    return b;
}

static void call(struct calls *calls, const uint8_t *bytes, size_t size)
{
    calls->b.length = 0;
    buffer_put(&calls->b, bytes, size);
    const char *before = shim_serving(calls->name);
    if (shim.flags & SHIM_TELLS_CALLS)
        calls->b = call_and_tell(calls);
    else
        calls->b = calls->config->call(calls->config->environment, calls->b); /* Takes it. */
    shim_serving(before);
}

/* Ok(handle), or Ok(()) for none. */
static int is_answered(const struct buffer *b, uint32_t handle)
{
    size_t size = handle ? sizeof handle : 0;
    return b->length == 1 + size && !b->data[0] && !memcmp(b->data + 1, &handle, size);
}

static int make_queued(struct calls *calls, const uint8_t *at, size_t left)
{
    struct queued queued;
    for (; left; at += queued.size, left -= queued.size) {
        if (left < sizeof queued)
            return -1;
        memcpy(&queued, at, sizeof queued);
        at += sizeof queued, left -= sizeof queued;
        if (queued.size > left
            || foresee(&shim.foreseen, at, queued.size) != (queued.handle ? FORESEEN_MAKE : FORESEEN_DROP))
            return -1;
        call(calls, at, queued.size);
        if (!is_answered(&calls->b, queued.handle))
            return -1;
    }
    return 0;
}

int calls_serve(struct calls *calls, const char **why)
{
    struct frame *head = &calls->head;
    while (!bridge_hear(calls->bridge, head, &calls->said)) {
        int has_queue = head->kind == FRAME_CALL || head->kind == FRAME_DONE || head->kind == FRAME_QUEUED;
        uint64_t queue = has_queue ? head->extra : 0;
        if (queue > calls->said.length || make_queued(calls, calls->said.data, queue)) {
            *why = "it answered its macros what the compiler does not answer";
            return -1;
        }
        const uint8_t *rest = calls->said.data + queue;
        size_t size = calls->said.length - queue;
        if (head->kind == FRAME_CALL)
            call(calls, rest, size);
        else
            calls->b.length = 0;
        if (head->kind != FRAME_CALL && head->kind != FRAME_QUEUED) {
            buffer_put(&calls->b, rest, size);
            return 0;
        }
        if (bridge_say(calls->bridge, FRAME_ANSWER, calls_next(), calls->b.data, calls->b.length))
            break;
    }
    return -1;
}
