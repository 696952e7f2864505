/* How a table of macros is written: by a host, which may write anything; read by a shim; kept by a launcher.

     u8 layout · text symbol · u32 count · each macro, but for LAYOUT_BARE: u8 kind · text name · u32 n · n texts
     where a text is u32 size · bytes. Little-endian as the machine.                                                    */
#ifndef BUILDPERM_TABLE_H
#define BUILDPERM_TABLE_H

#include "bridge.h"

enum {
    MACROS_MOST = 16384,           /* Of all libraries that are loaded at a time. */
    TABLE_MOST = 16 << 20,         /* Bytes. */
    TABLE_TEXT_MOST = 65536,       /* Bytes of one name. */
    TABLE_ATTRIBUTES_MOST = 65536, /* Helper attributes of one derive macro. */
};

struct table {
    enum layout layout;
    struct text symbol; /* All texts lie in the bytes that were read. */
    size_t count;
    struct macro *macros; /* None for LAYOUT_BARE. Their `run` is yet to be set. */
};

/* Takes `bytes` apart; they have to outlive the table. Returns 0, or -1 where they are no such table. */
int table_read(struct table *table, const uint8_t *bytes, size_t size);
/* Whether they are UTF-8, which a &str of Rust has to be. */
int table_is_utf8(const uint8_t *at, const uint8_t *end);
void table_free(struct table *table);

#endif
