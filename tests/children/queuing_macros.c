// A library of one macro that asks the compiler for what its input says, a call after a blank each, and makes a list of the
// answers in hexadecimal. `CALL*N` asks N times; `!` ends the process.
#include "bridge.h"
#include <stdio.h>

static struct buffer expand(struct config config)
{
    struct buffer made = buffer_empty(), asked = buffer_empty();
    char word[1024];
    size_t at = 0;
    while (at < config.input.length) {
        size_t size = 0;
        while (at < config.input.length && config.input.data[at] != ' ')
            word[size++] = (char)config.input.data[at++];
        word[size] = 0, at++;
        if (*word == '!')
            exit(1);
        char *times = strchr(word, '*');
        if (times)
            size = (size_t)(times - word);
        for (long left = times ? atol(times + 1) : 1; left; left--) {
            asked.length = 0;
            buffer_put(&asked, word, size);
            asked = config.call(config.environment, asked);
            char text[64], *end = text;
            for (size_t i = 0; i < asked.length && i < 8; i++)
                end += sprintf(end, "%02x", asked.data[i]);
            *end++ = ' ';
            buffer_put(&made, text, (size_t)(end - text));
        }
    }
    config.input.drop(config.input);
    asked.drop(asked);
    return made;
}

static run_function macros[] = {expand};
__attribute__((visibility("default"))) struct declarations __rustc_proc_macro_decls_0__ = {macros, 1};
