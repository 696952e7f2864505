/* Finds the real dlsym(), which cannot be asked for itself, in what the loader has loaded. For any C library. */
#define _GNU_SOURCE
#include "shim.h"
#include <elf.h>
#include <link.h>
#include <string.h>

struct wanted {
    const char *name;
    const void *found;
};
struct symbols {
    const ElfW(Sym) *all;
    const char *names;
    const uint32_t *hash, *gnu_hash;
};

/* glibc has added the base to these addresses already; musl, and the kernel's own object, have not. */
static const void *address(const struct dl_phdr_info *info, ElfW(Addr) at)
{
    return (const void *)(at < info->dlpi_addr ? at + info->dlpi_addr : at);
}

static struct symbols symbols_of(const struct dl_phdr_info *info)
{
    struct symbols symbols = {0};
    const ElfW(Dyn) *each = 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            each = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    for (; each && each->d_tag != DT_NULL; each++) {
        const void *at = address(info, each->d_un.d_ptr);
        if (each->d_tag == DT_SYMTAB)
            symbols.all = at;
        else if (each->d_tag == DT_STRTAB)
            symbols.names = at;
        else if (each->d_tag == DT_HASH)
            symbols.hash = at;
        else if (each->d_tag == DT_GNU_HASH)
            symbols.gnu_hash = at;
    }
    return symbols;
}

/* How many symbols there are, or the first of the chain that the name would be in: what is behind it is looked through. */
static void bounds(const struct symbols *symbols, const char *name, uint32_t *first, uint32_t *end)
{
    *first = *end = 0;
    if (symbols->gnu_hash) {
        const uint32_t *head = symbols->gnu_hash; /* Buckets, first symbol, words of the filter. */
        const uint32_t *buckets = head + 4 + head[2] * (sizeof(ElfW(Addr)) / 4), *chains = buckets + head[0];
        uint32_t hash = 5381;
        while (*name)
            hash = hash * 33 + (uint8_t)*name++;
        if (!head[0] || (*first = buckets[hash % head[0]]) < head[1])
            return;
        for (*end = *first; !(chains[*end - head[1]] & 1);)
            ++*end;
        ++*end;
    } else if (symbols->hash)
        *end = symbols->hash[1];
}

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    struct wanted *wanted = data;
    struct symbols symbols = symbols_of(info);
    uint32_t at, end;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if ((ElfW(Addr))&shim - info->dlpi_addr - info->dlpi_phdr[i].p_vaddr < info->dlpi_phdr[i].p_memsz)
            return 0; /* This library. */
    if (!symbols.all || !symbols.names)
        return 0;
    for (bounds(&symbols, wanted->name, &at, &end); at < end && !wanted->found; at++) {
        const ElfW(Sym) *symbol = symbols.all + at;
        if (symbol->st_shndx != SHN_UNDEF && (symbol->st_info & 15) == STT_FUNC
            && !strcmp(symbols.names + symbol->st_name, wanted->name))
            wanted->found = (const void *)(info->dlpi_addr + symbol->st_value);
    }
    return wanted->found != 0;
}

const void *symbols_find(const char *name)
{
    struct wanted wanted = {name, 0};
    dl_iterate_phdr(look, &wanted);
    return wanted.found;
}
