// Has tables read that were damaged by chance: SEED. With sanitizers, nothing may be read or written outside.
#include "table.h"
#include <stdio.h>

static const uint8_t good[] =
    "\1\2\0\0\0__\3\0\0\0"
    "\0\4\0\0\0Name\2\0\0\0\1\0\0\0a\2\0\0\0\xc3\xa4"
    "\1\1\0\0\0n\0\0\0\0"
    "\2\4\0\0\0\xf0\x9f\xa6\x80\0\0\0\0";

int main(int argc, char **argv)
{
    unsigned read = 0;
    srand(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
    for (int round = 0; round < 300000; round++) {
        size_t size = sizeof good - 1 - (round % 3 ? 0 : (size_t)rand() % sizeof good);
        uint8_t *bytes = malloc(size); // Exactly as much: what is read behind it is found.
        struct table table;
        memcpy(bytes, good, size);
        for (int changes = round ? rand() % 4 : 0; changes && size; changes--)
            bytes[(size_t)rand() % size] = (uint8_t)(rand() % 3 ? rand() % 8 : rand());
        if (!table_read(&table, bytes, size)) {
            read++;
            for (size_t i = 0; table.macros && i < table.count; i++) {
                struct macro *macro = table.macros + i;
                if (!macro->name.length || !table_is_utf8((const uint8_t *)macro->name.data, (const uint8_t *)macro->name.data + macro->name.length))
                    return puts("a name is none"), 1;
                for (size_t k = 0; macro->kind == KIND_DERIVE && k < macro->derive.count; k++)
                    if (!macro->derive.attributes[k].data[0])
                        read++; // Looks at the first byte of each.
            }
            table_free(&table);
        }
        free(bytes);
    }
    printf("%u\n", read);
    return read > 1000 && read < 290000 ? 0 : 1;
}
