// A library of two macros, in the layout LAYOUT: what each makes is its number, what it was given, and what it was answered.
#include "bridge.h"

static struct buffer expand(int number, struct config config)
{
    struct buffer asked = buffer_empty();
    buffer_put(&asked, "?", 1);
    asked = config.call(config.environment, asked);
    struct buffer made = buffer_empty();
    uint64_t size = 2 + config.input.length + asked.length;
    buffer_put(&made, "\1\0", 2); // Err(PanicMessage): the one result that is text.
    buffer_put(&made, &size, sizeof size);
    buffer_put(&made, &(char){(char)('0' + number)}, 1);
    buffer_put(&made, config.force_show_panics ? "!" : ".", 1);
    buffer_put(&made, config.input.data, config.input.length);
    buffer_put(&made, asked.data, asked.length);
    config.input.drop(config.input);
    asked.drop(asked);
    return made;
}
static struct buffer expand_0(struct config config) { return expand(0, config); }
static struct buffer expand_1(struct config config) { return expand(1, config); }

#if LAYOUT == 0
static run_function macros[] = {expand_0, expand_1};
#else
static struct text helpers[] = {{"helper", 6}, {"ä", 2}};
static struct macro macros[] = {
    {KIND_DERIVE, {"Derived", 7}, {.derive = {helpers, 2, {0, expand_0}}}},
    {KIND_BANG, {"made", 4}, {.client = {0, expand_1}}},
};
#endif
__attribute__((visibility("default"))) struct declarations __rustc_proc_macro_decls_0__ = {macros, 2};
