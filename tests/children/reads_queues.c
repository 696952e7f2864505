// Has frames of a host answered that were damaged by chance: SEED. With sanitizers, nothing may be read or written outside.
#define _GNU_SOURCE
#include "entries.h"
#include "shim.h"
#include "shim_calls.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct shim shim = {.foreseen = {1, 0, {2}, {{3}, {4}, {2}, {2}, {2}, {2}, {2}}}};
static uint32_t next = 1;
static unsigned asked, answered;

const char *shim_serving(const char *name) { return name; }
int shim_say(const void *words, size_t size, int fd) { return (int)size + fd + !words; }
uint32_t entries_count(unsigned counter) { return counter ? 1 : next; }

// A new buffer for each answer, exactly as large: who looks behind it is found.
static struct buffer answer(void *unused, struct buffer b)
{
    struct buffer made = buffer_empty();
    uint8_t what = b.length ? b.data[0] : 0;
    (void)unused;
    asked++;
    for (size_t i = 0; i < b.length; i++)
        what ^= b.data[i] & 0; // Looks at each byte.
    if (what != 2 && what != 3 && what != 4)
        buffer_put(&made, b.data, b.length);
    else if (what == 2 && b.length == 5)
        buffer_put(&made, "", 1);
    else if (what != 2) {
        buffer_put(&made, "", 1);
        buffer_put(&made, &next, sizeof next), next++;
    }
    b.drop(b);
    return made;
}

static void put_queued(struct buffer *to, uint32_t *following)
{
    uint8_t call[8] = {(uint8_t)(2 + rand() % 3), 1};
    struct queued queued = {5, call[0] == 2 ? 0 : (*following)++};
    buffer_put(to, &queued, sizeof queued);
    buffer_put(to, call, 5);
}

static void put_frame(struct buffer *to, uint32_t kind, uint32_t *following)
{
    struct buffer body = buffer_empty();
    for (int left = kind == FRAME_FAILED ? 0 : rand() % 5; left; left--)
        put_queued(&body, following);
    struct frame head = {kind, 0, body.length};
    if (kind != FRAME_QUEUED)
        buffer_put(&body, "\7abc", 4);
    head.size = (uint32_t)body.length;
    buffer_put(to, &head, sizeof head);
    buffer_put(to, body.data, body.length);
    body.drop(body);
}

// Every frame arrives at once, though a host waits for answers: each is put into the pipe before the next is read.
static void play(int damages)
{
    static const uint32_t kinds[] = {FRAME_CALL, FRAME_QUEUED, FRAME_CALL, FRAME_DONE};
    struct config config = {.call = answer};
    const char *why = 0;
    uint32_t following = next;
    int to[2], from[2];
    struct buffer frame = buffer_empty();
    put_frame(&frame, kinds[rand() % 4], &following);
    for (; damages && frame.length; damages--)
        switch (rand() % 3) {
        case 0: frame.data[(size_t)rand() % frame.length] = (uint8_t)rand(); break;
        case 1: frame.data[(size_t)rand() % 16 % frame.length] = (uint8_t)(rand() % 9); break;
        default: frame.length -= (size_t)rand() % (frame.length + 1);
        }
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC) || write(from[1], frame.data, frame.length) < 0)
        exit(2);
    close(from[1]);
    struct calls calls = {
        .config = &config, .name = "n", .bridge = {from[0], to[1]}, .said = buffer_empty(), .b = buffer_empty()};
    if (!calls_serve(&calls, &why))
        answered++;
    close(from[0]), close(to[0]), close(to[1]);
    calls.said.drop(calls.said), calls.b.drop(calls.b), frame.drop(frame);
}

int main(int argc, char **argv)
{
    srand(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
    for (int round = 0; round < 30000; round++)
        play(rand() % 4);
    printf("%u %u\n", asked, answered);
    return asked > 10000 && answered > 1000 && answered < 20000 ? 0 : 1;
}
