/* Variables that a loader, a libc or a library obeys before a program has said a word: ld.so(8), malloc(3), iconv(1),
 * openssl-env(7), python(1). By the last two rustc writes files, and empties what is there, however little it is asked:
 * rustc_log, rustc_driver. A project sets what it likes for what Cargo calls (`[env]`), and our own programs are not
 * confined yet when they start. So these are set aside under a name of ours, and given back to what is held. */
#ifndef ASIDE_H
#define ASIDE_H

#include "bare.h"

#define ASIDE "BUILDPERM_ASIDE_"

/* As `supervisor/environment.py` removes it, and `cargo/standing-wrapper.sh`. */
static const char *const obeyed[] = {
    "LD_", "GCONV_PATH=", "LOCPATH=", "NLSPATH=", "GETCONF_DIR=", "GLIBC_TUNABLES=", "MALLOC_", "OPENSSL_", "PYTHON",
    "RUSTC_LOG_OUTPUT_TARGET=", "RUSTC_ICE=", NULL};

static inline int is_among(const char *entry, const char *const *heads) {
    for (; *heads; heads++)
        if (after(entry, *heads)) return 1;
    return 0;
}

/* Returns how long the name is where a shell can write it; else 0. */
static inline size_t plain_name(const char *entry) {
    size_t size = 0;
    for (; entry[size] && entry[size] != '='; size++) {
        char each = entry[size];
        int is_letter = (each >= 'A' && each <= 'Z') || (each >= 'a' && each <= 'z') || each == '_';
        if (!is_letter && !(size && each >= '0' && each <= '9')) return 0;
    }
    return entry[size] ? size : 0;
}

#endif
