/* The process of one library of procedural macros: `host LIBRARY`, with the shim of a compiler on descriptor 3.

   It is confined before it starts. The library's constructors run here as well, and whatever the library does to this
   process harms nobody but itself: the shim believes nothing that it is told. */
#define _GNU_SOURCE
#include "table.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { STACK = 8 << 20 }; /* As rustc gives to the thread that runs macros; RUST_MIN_STACK may ask for more. */

static void *library;
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

static void put_table(struct buffer *b, enum layout layout, struct text symbol, const struct declarations *declared)
{
    buffer_put(b, &(uint8_t){(uint8_t)layout}, 1);
    put_text(b, symbol);
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

static run_function run_of(enum layout layout, const struct declarations *declared, size_t at)
{
    if (layout == LAYOUT_BARE)
        return ((const run_function *)declared->first)[at];
    const struct macro *macro = (const struct macro *)declared->first + at;
    return macro->kind == KIND_DERIVE ? macro->derive.client.run : macro->client.run;
}

/* What a macro asks of the compiler. */
static struct buffer ask(void *unused, struct buffer b)
{
    struct frame head;
    (void)unused;
    if (bridge_say(HOST_DESCRIPTOR, FRAME_CALL, 0, b.data, b.length) || bridge_hear(HOST_DESCRIPTOR, &head, &b)
        || head.kind != FRAME_ANSWER)
        _exit(1); /* The compiler has ended. */
    return b;
}

static void fail(const char *why)
{
    bridge_say(HOST_DESCRIPTOR, FRAME_FAILED, 0, why, strlen(why));
}

static void *serve(void *unused)
{
    const struct declarations *declared = 0;
    enum layout layout = LAYOUTS;
    struct buffer b = buffer_empty();
    struct frame head;
    while (!bridge_hear(HOST_DESCRIPTOR, &head, &b)) {
        size_t at = head.extra >> 8;
        if (head.kind == FRAME_LOAD && head.extra < LAYOUTS) {
            struct text symbol = {strndup(b.length ? (char *)b.data : "", b.length), b.length};
            layout = (enum layout)head.extra;
            if (!symbol.data || !(declared = dlsym(library, symbol.data)))
                return fail("the library does not name its macros"), unused;
            b.length = 0;
            put_table(&b, layout, symbol, declared);
            free((char *)(uintptr_t)symbol.data);
            if (bridge_say(HOST_DESCRIPTOR, FRAME_TABLE, 0, b.data, b.length))
                return unused;
        } else if (head.kind == FRAME_RUN && declared && at < declared->count) {
            b = run_of(layout, declared, at)((struct config){b, ask, 0, head.extra & 1});
            if (bridge_say(HOST_DESCRIPTOR, FRAME_DONE, 0, b.data, b.length))
                return unused;
            b.drop(b);
            b = buffer_empty();
        } else
            return unused;
    }
    status = 0;
    return unused;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    pthread_t thread;
    const char *wanted = getenv("RUST_MIN_STACK");
    size_t stack = wanted ? strtoul(wanted, 0, 10) : 0;
    fcntl(HOST_DESCRIPTOR, F_SETFD, FD_CLOEXEC);
    if (argc != 2) {
        fprintf(stderr, "host: wants the path of a library\n");
        return 2;
    }
    if (!(library = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL))) {
        fail(dlerror());
        return 1;
    }
    if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, stack > STACK ? stack : STACK)
        || pthread_create(&thread, &attributes, serve, 0) || pthread_join(thread, 0)) {
        fail("no thread could be started");
        return 1;
    }
    return status;
}
