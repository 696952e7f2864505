/* Reads `buildperm-compile-session`: entries `KEY VALUE`, each with a NUL behind it. Those before the first `package`
   are for all compilations, except `m`: manifests, for those packages whose section says `manifests`. */
#include "launcher.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 28 };

/* The key's length is told by the value behind the blank. */
const char *next_entry(const struct section *section, const char **at, const char **value) {
    if (*at >= section->end) return NULL;
    const char *entry = *at, *blank = strchr(entry, ' ');
    *at = entry + strlen(entry) + 1;
    *value = blank ? blank + 1 : *at - 1;
    return entry;
}

static bool is_key(const char *entry, const char *key) {
    const char *rest = after(entry, key);
    return rest && *rest == ' ';
}

static void take(const char *entry, const char *value, const char *key, const char **to) {
    if (is_key(entry, key)) *to = value;
}

void session_read(struct session *session, const char *path) {
    size_t size;
    char *data = read_whole(path, MOST, &size);
    if (!data) refuse("there is no session at `%s`: build with `buildperm`", escaped(path));
    if (!size || data[size - 1]) refuse("the session at `%s` is damaged", escaped(path));
    *session = (struct session){.end = data + size, .profile = "enforcing", .macros = "outside", .foreseen = "0"};
    struct section all = {.begin = data, .end = data + size};
    const char *at = all.begin, *value, *entry, *layout = "", *version = "";
    session->globals.begin = session->globals.end = session->begin = data;
    while ((entry = next_entry(&all, &at, &value)) && !is_key(entry, "package")) {
        take(entry, value, "buildperm-compile", &version);
        take(entry, value, "target", &session->target);
        take(entry, value, "state", &session->state);
        take(entry, value, "profile", &session->profile);
        take(entry, value, "shim", &session->shim);
        take(entry, value, "macros", &session->macros);
        take(entry, value, "layout", &layout);
        take(entry, value, "foreseen", &session->foreseen);
        take(entry, value, "filter", &session->filter);
        take(entry, value, "session", &session->path);
        take(entry, value, "python", &session->python);
        take(entry, value, "supervisor", &session->supervisor);
        take(entry, value, "unknown", &session->unknown);
        session->globals.end = session->begin = at;
    }
    if (strcmp(version, "1")) refuse("the session is for another version of buildperm: build again");
    if (!session->target || !session->state || !session->filter) refuse("the session at `%s` is incomplete", escaped(path));
    session->layout = atoi(layout);
}

bool session_find(const struct session *session, const char *manifest_dir, struct section *section) {
    struct section rest = {.begin = session->begin, .end = session->end};
    const char *at = rest.begin, *value, *entry;
    bool is_found = false;
    while ((entry = next_entry(&rest, &at, &value))) {
        if (is_key(entry, "package")) {
            if (is_found) break;
            if ((is_found = !strcmp(value, manifest_dir))) {
                *section = (struct section){.begin = at, .end = at, .manifest_dir = value};
                section->name = section->version = section->crate = section->digest = "", section->compile = "hold";
            }
        } else if (is_found) {
            take(entry, value, "name", &section->name);
            take(entry, value, "version", &section->version);
            take(entry, value, "crate", &section->crate);
            take(entry, value, "compile", &section->compile);
            take(entry, value, "digest", &section->digest);
            take(entry, value, "manifests", &section->manifests);
            section->end = at;
        }
    }
    return is_found;
}

/* A package that the session does not name: it is granted nothing, and reads what it consists of. Where the home folder
   lies in it, that is no more than its sources. */
bool session_unnamed(const struct session *session, const char *manifest_dir, struct section *section) {
    const char *name = getenv("CARGO_PKG_NAME"), *version = getenv("CARGO_PKG_VERSION");
    if (!session->unknown || strchr(manifest_dir, '\n')) return false;
    const char *home = getenv("HOME");
    char *real = home ? real_path(home) : NULL;
    bool is_around = !real || is_within(real, manifest_dir);
    char *own = formatted(is_around ? "r %s/src" : "r %s", manifest_dir);
    free(real);
    *section = (struct section){.begin = own, .end = own + strlen(own) + 1, .manifest_dir = manifest_dir};
    section->name = section->crate = name ? name : "an unknown package", section->version = version ? version : "";
    section->compile = "hold", section->digest = session->unknown;
    return true;
}
