/* Files that are opened for the first time, or looked for in vain: events that Python makes of them later, many at once. */
#define _GNU_SOURCE
#include "inner_loop.h"

#include <string.h>

enum { NEWS_SIZE = 1 << 17, ALIGNED = 4 };

/* As `_NEWS` in inner_loop.py has it; the text follows, filled up to a multiple of ALIGNED. */
struct news {
    int32_t tid, flags, error;
    uint32_t size;
};

static struct {
    uint32_t size; /* Of `bytes`, as far as they are used. */
    _Alignas(ALIGNED) char bytes[NEWS_SIZE];
} news;

void forget_news(void) { news.size = 0; }

/* Returns where the news are; Python sets their size to 0 when it has read them. */
EXPORTED const void *all_news(void) { return &news; }

/* Tells whether a path is absolute and has no part that means nothing, or leads upwards: location.py, `absolute`. */
static bool is_plain(const char *path, size_t size) {
    if (!size || path[0] != '/' || path[size - 1] == '/') return false;
    for (size_t at = 0; at + 1 < size; at++) {
        if (path[at] == '/' && (path[at + 1] == '/' || path[at + 1] == '.')) return false; /* Or a hidden name. */
    }
    return true;
}

bool note_news(const struct repeat *repeat) {
    static char text[PATH_SIZE + 1 + READ_SIZE];
    size_t size = 0;
    if (repeat->found) {
        memcpy(text, repeat->found->bytes, size = repeat->found->size);
    } else {
        if (repeat->start) {
            memcpy(text, repeat->start->bytes, size = repeat->start->size);
            if (size > 1) text[size++] = '/';
        }
        memcpy(text + size, repeat->thread->path, repeat->thread->size);
        size += repeat->thread->size;
        if (!is_plain(text, size)) return false;
    }
    size_t needed = sizeof(struct news) + (size + ALIGNED - 1) / ALIGNED * ALIGNED;
    if (news.size + needed > NEWS_SIZE || remember() < 0) return false;
    struct news one = {repeat->thread->tid, repeat->flags, repeat->error, (uint32_t)size};
    memcpy(news.bytes + news.size, &one, sizeof one);
    memcpy(news.bytes + news.size + sizeof one, text, size);
    news.size += (uint32_t)needed;
    return true;
}
