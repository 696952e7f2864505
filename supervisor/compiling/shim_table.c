/* Takes apart what a macro host says that its macros are called. Every byte may have been chosen by an attacker. */
#include "table.h"
#include <stddef.h>

struct reader {
    const uint8_t *at, *end;
    int failed;
};

static uint8_t take_u8(struct reader *reader)
{
    if (reader->at == reader->end) {
        reader->failed = 1;
        return 0;
    }
    return *reader->at++;
}

static uint32_t take_u32(struct reader *reader)
{
    uint32_t value = 0;
    if (reader->end - reader->at < (ptrdiff_t)sizeof value) {
        reader->failed = 1;
        return 0;
    }
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    return value;
}

/* rustc takes it for a &str, so anything else would be undefined behaviour. As Unicode's table 3-7 has it. */
int table_is_utf8(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint8_t lead = *at++, low = 0x80, high = 0xbf;
        int more;
        if (lead < 0x80)
            continue;
        if (lead >= 0xc2 && lead <= 0xdf)
            more = 1;
        else if (lead >= 0xe0 && lead <= 0xef)
            more = 2, low = lead == 0xe0 ? 0xa0 : low, high = lead == 0xed ? 0x9f : high;
        else if (lead >= 0xf0 && lead <= 0xf4)
            more = 3, low = lead == 0xf0 ? 0x90 : low, high = lead == 0xf4 ? 0x8f : high;
        else
            return 0;
        for (; more; more--, low = 0x80, high = 0xbf)
            if (at == end || *at < low || *at++ > high)
                return 0;
    }
    return 1;
}

static struct text take_text(struct reader *reader)
{
    size_t size = take_u32(reader);
    struct text text = {(const char *)reader->at, size};
    if (reader->failed || size == 0 || size > TABLE_TEXT_MOST || (size_t)(reader->end - reader->at) < size
        || !table_is_utf8(reader->at, reader->at + size)) {
        reader->failed = 1;
        return (struct text){0, 0};
    }
    reader->at += size;
    return text;
}

static void take_macro(struct reader *reader, struct macro *macro)
{
    macro->kind = take_u8(reader);
    macro->name = take_text(reader);
    size_t count = take_u32(reader);
    if (macro->kind > KIND_BANG || count > TABLE_ATTRIBUTES_MOST || (count && macro->kind != KIND_DERIVE))
        reader->failed = 1;
    if (reader->failed || macro->kind != KIND_DERIVE)
        return;
    /* Each takes five bytes, so that an announced number alone takes no memory. */
    if (count > (size_t)(reader->end - reader->at) / 5
        || !(macro->derive.attributes = calloc(count + 1, sizeof *macro->derive.attributes))) {
        reader->failed = 1;
        return;
    }
    macro->derive.count = count;
    for (size_t i = 0; i < count && !reader->failed; i++)
        macro->derive.attributes[i] = take_text(reader);
}

int table_read(struct table *table, const uint8_t *bytes, size_t size)
{
    struct reader reader = {bytes, bytes + size, size > TABLE_MOST};
    *table = (struct table){0};
    uint8_t layout = take_u8(&reader);
    table->symbol = take_text(&reader);
    size_t count = take_u32(&reader);
    if (reader.failed || layout >= LAYOUTS || count > MACROS_MOST)
        return -1;
    table->layout = layout;
    if (layout == LAYOUT_BARE)
        table->count = count;
    else if ((table->macros = calloc(count + 1, sizeof *table->macros)))
        for (; table->count < count && !reader.failed; table->count++)
            take_macro(&reader, table->macros + table->count);
    else
        return -1;
    if (reader.failed || reader.at != reader.end) {
        table_free(table);
        return -1;
    }
    return 0;
}

void table_free(struct table *table)
{
    for (size_t i = 0; table->macros && i < table->count; i++)
        if (table->macros[i].kind == KIND_DERIVE)
            free(table->macros[i].derive.attributes);
    free(table->macros);
    *table = (struct table){0};
}
