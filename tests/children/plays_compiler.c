// Uses a library of macros as rustc does in the layout LAYOUT: `LIBRARY SYMBOL`.
#include "bridge.h"
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

static struct buffer answer(void *environment, struct buffer b)
{
    b.length = 0;
    buffer_put(&b, environment, strlen(environment));
    return b;
}

static void expand(run_function run, int forced)
{
    struct config config = {buffer_empty(), answer, "answered", (uint8_t)forced};
    buffer_put(&config.input, "given ", 6);
    struct buffer made = run(config);
    printf("%.*s\n", (int)made.length - 10, made.data + 10);
    made.drop(made);
}

int main(int argc, char **argv)
{
    void *library = argc > 2 ? dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL) : 0;
    struct declarations *declared = library ? dlsym(library, argv[2]) : 0;
    if (!declared)
        return puts(dlerror()), 1;
    printf("%zu\n", declared->count);
#if LAYOUT == 0
    for (size_t i = 0; i < declared->count; i++)
        expand(((run_function *)declared->first)[i], i == 0);
#else
    for (struct macro *each = declared->first; each < (struct macro *)declared->first + declared->count; each++) {
        struct client client = each->kind == KIND_DERIVE ? each->derive.client : each->client;
        const uint32_t *counters = LAYOUT == 1 ? client.counters : ((void *(*)(void))(uintptr_t)client.counters)();
        printf("%u %.*s %u\n", each->kind, (int)each->name.length, each->name.data, counters[0] && counters[1] && counters[31]);
        for (size_t i = 0; each->kind == KIND_DERIVE && i < each->derive.count; i++)
            printf("%.*s\n", (int)each->derive.attributes[i].length, each->derive.attributes[i].data);
        expand(client.run, each->kind == KIND_DERIVE);
    }
#endif
    return dlclose(library);
}
