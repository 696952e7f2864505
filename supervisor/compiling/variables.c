/* The environment of the compiler: without what buildperm withholds, and without buildperm's own variables. */
#include "launcher.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

/* What Cargo makes, whatever the names look like: rules/variables.py. */
static const char *const from_cargo[] = {"CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "DEP_", NULL};
/* Make the programs that read them run something, or write somewhere. */
static const char *const never[] = {"LD_PRELOAD", "LD_AUDIT", "LD_DEBUG_OUTPUT", "LD_PROFILE", "GLIBC_TUNABLES", "MALLOC_TRACE", NULL};

static bool matches(const char *pattern, const char *name, bool any_case) {
    for (; *pattern; pattern++, name++) {
        if (*pattern == '*') {
            do {
                if (matches(pattern + 1, name, any_case)) return true;
            } while (*name++);
            return false;
        }
        unsigned char one = (unsigned char)*pattern, other = (unsigned char)*name;
        if (any_case ? toupper(one) != toupper(other) : one != other) return false;
    }
    return !*name;
}

/* Without a `*` a pattern is for whole words of the name. */
static bool looks_like(const char *pattern, const char *name) {
    if (strchr(pattern, '*')) return matches(pattern, name, true);
    char word[256];
    while (*name) {
        size_t size = strcspn(name, "_-.");
        if (size < sizeof word) {
            memcpy(word, name, size), word[size] = 0;
            if (matches(pattern, word, true)) return true;
        }
        name += size + (name[size] != 0);
    }
    return false;
}

static bool begins_with_one_of(const char *const *beginnings, const char *name) {
    for (; *beginnings; beginnings++) {
        if (after(name, *beginnings)) return true;
    }
    return false;
}

static bool is_one_of(const char *const *names, const char *name) {
    for (; *names; names++) {
        if (!strcmp(*names, name)) return true;
    }
    return false;
}

/* Whether an entry `key PATTERN` fits; a pattern for a name that looks secret has to be that very name. */
static bool is_named(const struct section *section, const char *key, const char *name, bool exactly) {
    const char *at = section ? section->begin : NULL, *value, *entry;
    while (section && (entry = next_entry(section, &at, &value))) {
        const char *rest = after(entry, key);
        if (!rest || *rest != ' ') continue;
        if (!strcmp(value, name) || (!exactly && matches(value, name, false))) return true;
    }
    return false;
}

static bool is_secret(const struct session *session, const char *name) {
    const char *at = session->globals.begin, *value, *entry;
    if (is_named(&session->globals, "hidden", name, true)) return true;
    if (begins_with_one_of(from_cargo, name) || is_named(&session->globals, "plain", name, true)) return false;
    while ((entry = next_entry(&session->globals, &at, &value))) {
        if (after(entry, "secret ") && looks_like(value, name)) return true;
    }
    return false;
}

void variables_withhold(const struct session *session, const struct section *section, struct list *withheld) {
    extern char **environ;
    char **kept = environ;
    for (char **each = environ; *each; each++) {
        size_t size = strcspn(*each, "=");
        char *name = allocate(size + 1);
        memcpy(name, *each, size);
        if (after(name, "BUILDPERM_") || is_one_of(never, name)) continue;
        bool is_withheld = is_named(section, "hidden", name, true) || (is_secret(session, name) && !is_named(section, "env", name, true));
        if (is_withheld) append(withheld, name);
        else *kept++ = *each;
    }
    *kept = NULL;
}
