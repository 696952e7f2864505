/* What the shim asks of the launcher: tables that were kept, and hosts, with what is special about the place they work for. */
#define _GNU_SOURCE
#include "shim_requests.h"
#include "shim.h"
#include <poll.h>
#include <unistd.h>

enum { CACHED_MOST = 64 << 10, CACHE_PATIENCE_MS = 10000 };

static void put_word(struct buffer *b, const char *word)
{
    buffer_put(b, word, strlen(word) + 1);
}

/* Only rust-analyzer's server changes them, under a lock of its own. */
static void put_changed(struct buffer *b)
{
    for (char **each = environ, **old; shim.environment && *each; each++) {
        for (old = shim.environment; *old && *old != *each; old++) {}
        if (!*old && strncmp(*each, "BUILDPERM_", 10))
            put_word(b, *each);
    }
}

uint64_t requests_place(void)
{
    char folder[4096] = "";
    uint64_t digest = 0xcbf29ce484222325;
    if (!(shim.flags & SHIM_SERVER))
        return 0;
    if (!getcwd(folder, sizeof folder))
        *folder = 0;
    for (const char *at = folder; *at; at++)
        digest = (digest ^ (uint8_t)*at) * 0x100000001b3;
    for (char **each = environ; *each; each++, digest *= 0x100000001b3)
        for (const char *at = *each; *at; at++)
            digest = (digest ^ (uint8_t)*at) * 0x100000001b3;
    return digest;
}

/* The answer comes on a socket of its own: rustdoc and the compilers of its tests share the launcher's, and a late answer would be
   taken for that to the next question. */
int requests_table(const char *library, struct buffer *b)
{
    int pair[2], found = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return 0;
    b->length = 0;
    put_word(b, "table?");
    put_word(b, library);
    int failed = shim_say(b->data, b->length, pair[1]);
    close(pair[1]);
    struct pollfd answer = {pair[0], POLLIN, 0};
    b->length = 0;
    buffer_need(b, CACHED_MOST + sizeof "table");
    if (!failed && poll(&answer, 1, CACHE_PATIENCE_MS) == 1) {
        ssize_t got = recv(pair[0], b->data, b->capacity, MSG_DONTWAIT);
        if (got > (ssize_t)sizeof "table" && !memcmp(b->data, "table", sizeof "table")) {
            found = 1;
            b->length = (size_t)got - sizeof "table";
            memmove(b->data, b->data + sizeof "table", b->length);
        }
    }
    close(pair[0]);
    return found;
}

void requests_keep(const char *library, const struct buffer *table)
{
    struct buffer b = buffer_empty();
    if (table->length <= CACHED_MOST) {
        put_word(&b, "table");
        put_word(&b, library);
        buffer_put(&b, table->data, table->length);
        shim_say(b.data, b.length, -1);
    }
    b.drop(b);
}

int requests_host(const char *library, int theirs)
{
    char folder[4096];
    struct buffer words = buffer_empty();
    put_word(&words, "host");
    put_word(&words, library);
    put_word(&words, shim_variable("CARGO_MANIFEST_DIR"));
    put_word(&words, shim_variable("OUT_DIR"));
    put_word(&words, getcwd(folder, sizeof folder) ? folder : "/");
    if (shim.flags & SHIM_SERVER)
        put_changed(&words);
    int failed = words.length > WORDS_MOST || shim_say(words.data, words.length, theirs);
    words.drop(words);
    return failed;
}
