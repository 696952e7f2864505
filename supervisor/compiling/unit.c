/* Where a call may write, what it may read besides, and the marker that tells which rules a unit was compiled under. */
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_NOTES = 5000 }; /* Of a kind; more than there may be hosts. */

static const char *base_name(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

static char *parent(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return copied(".");
    return slash == path ? copied("/") : strndup(path, (size_t)(slash - path));
}

/* The path below the target directory as one name. */
static char *flat(const struct session *session, const char *path) {
    const char *rest = after(path, session->target);
    if (!rest || *rest != '/') return NULL;
    char *name = copied(rest + 1);
    for (char *at = name; *at; at++) if (*at == '/') *at = '%';
    return name;
}

char *library_key(const struct session *session, const char *library) {
    char *key = is_within(library, session->state) ? NULL : flat(session, library);
    return key && strlen(key) <= NAME_MAX ? key : NULL;
}

/* A folder of the build, but none of buildperm's. */
static bool is_of_build(const struct session *session, const char *path) {
    return is_within(path, session->target) && strcmp(path, session->target) && !is_within(path, session->state);
}

static char *folder_of_build(const struct session *session, const char *path, const char *what) {
    const char *rest = after(path, session->target);
    if (rest && *rest == '/' && !strstr(rest, "/../")) make_folders(path);
    char *found = real_path(path);
    if (!found || !is_of_build(session, found)) {
        refuse("the compiler would put %s into `%s`, which is not in the target directory of this build", what, escaped(path));
    }
    return found;
}

/* Whether nobody else's outputs are put there: the folder of a build script, and of a unit in Cargo's newer layout. */
static bool is_own_folder(const char *path) {
    const char *name = base_name(path);
    char *above = parent(path), *second = parent(above), *third = parent(second);
    bool is_unit = !strcmp(name, "out") && !strcmp(base_name(third), "build");
    bool is_script = !strcmp(base_name(above), "build") && strcmp(name, "deps") && strcmp(name, "examples");
    free(above), free(second), free(third);
    return is_unit || is_script;
}

/* Somebody wants an output for himself, in a new folder of his own. A wrapper that caches first asks which files a
   crate is made of: sccache. A command puts `-o` behind Cargo's words, which outranks `--out-dir`: cargo-expand. No
   build script can do that, only who started Cargo, or what its configuration says. */
static char *folder_of_caller(const struct session *session, const struct call *call) {
    struct stat about;
    bool is_empty = true, is_asking = call->writes_dep_info && !call->writes_more;
    if (call->is_rustdoc || !call->output || (!call->out_dir && !is_asking)) return NULL;
    char *above = parent(call->output), *found = real_path(above);
    free(above);
    DIR *folder = found && !is_within(found, session->target) ? opendir(found) : NULL;
    if (folder && !fstat(dirfd(folder), &about) && about.st_uid == geteuid() && !(about.st_mode & (S_IWGRP | S_IWOTH))) {
        for (struct dirent *entry; (entry = readdir(folder));) is_empty &= !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    } else {
        is_empty = false;
    }
    if (folder) closedir(folder);
    if (!is_empty) free(found), found = NULL;
    return found;
}

static const char *name_in(const struct call *call) {
    if (call->crate_name) return call->crate_name;
    if (call->output) return base_name(call->output);
    refuse("the compiler is called without `--crate-name`");
}

/* What rustdoc makes is called by the crate's name alone, which two packages may have. */
static char *number_of(const struct call *call, const struct section *section) {
    const char *const parts[] = {section->manifest_dir, call->metadata ? call->metadata : ""};
    uint64_t digest = 0xcbf29ce484222325;
    for (int i = 0; i < 2; i++, digest *= 0x100000001b3) {
        for (const char *at = parts[i]; *at; at++) digest = (digest ^ (uint8_t)*at) * 0x100000001b3;
    }
    return formatted("%016llx", (unsigned long long)digest);
}

void unit_find(struct unit *unit, struct call *call, const struct session *session, const struct section *section) {
    char *folder = NULL;
    *unit = (struct unit){.source = copied(section->manifest_dir)};
    unit->stem = formatted("%s%s", name_in(call), call->extra ? call->extra : "");
    if (strchr(unit->stem, '/') || !*unit->stem || *unit->stem == '.') refuse("the compiler is called with an odd name for its output: `%s`", escaped(unit->stem));
    if (call->runs_tests) {
        unit->key = formatted("doctest%%%s%%%s", unit->stem, number_of(call, section));
    } else if ((unit->out_dir = folder_of_caller(session, call))) {
        unit->key = formatted("asked%%%s", unit->stem);
    } else {
        folder = call->out_dir ? copied(call->out_dir) : parent(call->output);
        unit->out_dir = folder_of_build(session, folder, "its outputs");
        unit->is_shared = !call->is_rustdoc && !is_own_folder(unit->out_dir);
        unit->key = formatted("%s%%%s", flat(session, unit->out_dir), unit->stem);
        if (call->is_rustdoc) unit->key = formatted("%s%%%s", unit->key, number_of(call, section));
    }
    if (strlen(unit->key) > NAME_MAX) refuse("the path of an output is too long: `%s`", escaped(unit->key));
    unit->folder = formatted("%s/%s", session->state, unit->key);
    make_folder(session->state);
    remove_tree(unit->folder); /* What is in there is of an earlier compilation. */
    make_folder(unit->folder);
    if (!call->runs_tests) {
        unit->temporary = formatted("%s/tmp", unit->folder);
        if (call->archives) make_folder(unit->temporary);
    }
    if (call->incremental) {
        char *all = folder_of_build(session, call->incremental, "what it keeps");
        unit->incremental = formatted("%s/%s", all, unit->stem);
        make_folder(unit->incremental);
        /* Of several the last one counts. */
        size_t count = 0;
        while (call->argv[count]) count++;
        char **argv = allocate((count + 2) * sizeof *argv);
        memcpy(argv, call->argv, count * sizeof *argv);
        argv[count] = formatted("-Cincremental=%s", unit->incremental);
        call->argv = argv;
        free(all);
    }
    free(folder);
}

static void allow_program(const char *program) {
    char *found = program && strchr(program, '/') ? real_path(program) : NULL;
    if (found) rights_allow(found, CAN_RUN);
    free(found);
}

static bool is_listed(const struct section *section, const char *path) {
    const char *at = section->begin, *value, *entry;
    while ((entry = next_entry(section, &at, &value))) {
        if (entry[0] == 'L' && entry[1] == ' ' && is_within(path, value)) return true;
    }
    return false;
}

/* Folders and files of other units. Elsewhere only what the session has: whoever wrote these paths. */
static void allow_reads(const struct session *session, const struct section *section, const struct list *words, struct list *allowed) {
    for (size_t i = 0; i < words->count; i++) {
        const char *path = strchr(words->items[i], '=');
        char *found = real_path(path ? path + 1 : words->items[i]), *folder;
        if (!found) continue;
        folder = parent(found);
        bool is_known = holds(allowed, found) || holds(allowed, folder);
        free(folder);
        if (is_known || !(is_of_build(session, found) || is_listed(section, found))) {
            free(found);
            continue;
        }
        rights_allow(found, CAN_READ);
        append(allowed, found);
    }
}

/* A server reads the libraries of all packages, and of what is built while it runs: folders of a build, none of ours. */
static void allow_libraries(const struct session *session) {
    DIR *folder = opendir(session->target);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || after(entry->d_name, "buildperm")) continue;
        char *path = formatted("%s/%s", session->target, entry->d_name), *found = real_path(path);
        if (found && is_of_build(session, found)) rights_allow(found, CAN_READ);
        free(path), free(found);
    }
    if (folder) closedir(folder);
}

static void allow_jobserver(void) { /* Of a make above Cargo; Cargo's own is a pair of descriptors. */
    const char *flags = getenv("CARGO_MAKEFLAGS"), *at = flags ? strstr(flags, "--jobserver-auth=fifo:") : NULL;
    struct stat about;
    if (!at) return;
    at += strlen("--jobserver-auth=fifo:");
    char *path = strndup(at, strcspn(at, " ")), *found = real_path(path);
    if (found && !stat(found, &about) && S_ISFIFO(about.st_mode) && about.st_uid == geteuid()) rights_allow(found, CAN_MODIFY);
    free(path), free(found);
}

void unit_allow(const struct unit *unit, const struct call *call, const struct session *session, const struct section *section) {
    struct list allowed = {0}, own = {0};
    allow_program(call->compiler), allow_program(call->inner), allow_program(call->linker);
    if (getenv("OUT_DIR")) append(&own, formatted("=%s", getenv("OUT_DIR")));
    allow_reads(session, section, &own, &allowed);
    allow_reads(session, section, &call->searched, &allowed);
    allow_reads(session, section, &call->externs, &allowed);
    for (size_t i = 0; i < call->user_files.count; i++) {
        struct stat about;
        char *found = real_path(call->user_files.items[i]);
        if (found && !stat(found, &about) && S_ISREG(about.st_mode)) rights_allow(found, CAN_READ);
        free(found);
    }
    if (call->target && strlen(call->target) > 5 && !strcmp(call->target + strlen(call->target) - 5, ".json")) {
        char *found = real_path(call->target);
        if (found) rights_allow(found, CAN_READ);
        free(found);
    }
    if (call->arguments_handle >= 0) rights_allow_handle(call->arguments_handle, call->arguments_file, CAN_READ);
    allow_jobserver();
    if (!unit->source && unit->temporary) allow_libraries(session); /* A server. */
    if (unit->out_dir) rights_allow(unit->out_dir, unit->is_shared ? CAN_READ : CAN_WRITE);
    if (unit->incremental) rights_allow(unit->incremental, CAN_WRITE);
    if (unit->temporary) rights_allow(unit->temporary, CAN_WRITE | CAN_LINK);
}

/* Takes the entry; whether it is there now. */
bool unit_note(struct list *list, char *entry) {
    bool is_known = holds(list, entry), fits = is_known || list->count < MOST_NOTES;
    if (fits && !is_known) append(list, entry);
    else free(entry);
    return fits;
}

static void put(FILE *to, const char *key, const char *value) {
    fprintf(to, "%s %s", key, value);
    fputc(0, to);
}

static void put_all(FILE *to, const char *key, const struct list *list) {
    for (size_t i = 0; i < list->count; i++) put(to, key, list->items[i]);
}

static void remember_library(const struct unit *unit, const struct call *call, const struct session *session) {
    char *library = formatted("%s/lib%s.so", unit->out_dir, unit->stem), *key = library_key(session, library);
    if (!key) refuse("the path of a macro library is too long: `%s`", escaped(library));
    char *folder = formatted("%s/libraries", session->state), *path = formatted("%s/%s", folder, key);
    if (call->output) refuse("a macro library would be put to another place than Cargo's");
    make_folder(folder);
    write_whole(path, unit->source, strlen(unit->source) + 1);
    free(library), free(key), free(folder), free(path);
}

/* Of a package whose compiling is left alone: whoever uses its macros may be held. */
void unit_leave(const struct call *call, const struct session *session, const struct section *section) {
    struct unit unit = {.source = copied(section->manifest_dir), .out_dir = call->out_dir ? real_path(call->out_dir) : NULL};
    if (!call->is_macro || call->output || !unit.out_dir || !is_of_build(session, unit.out_dir)) return;
    unit.stem = formatted("%s%s", name_in(call), call->extra ? call->extra : "");
    make_folder(session->state);
    remember_library(&unit, call, session);
}

static void say_refused(const struct unit *unit, const struct session *session, const struct section *section) {
    char *name = escaped(section->name), *version = escaped(section->version), *crate = escaped(section->crate);
    for (size_t i = 0; i < unit->refused.count; i++) {
        const char *entry = unit->refused.items[i], *path = strchr(entry, ' ') + 1;
        say("compiling %s %s was refused to %.*s `%s`", name, version, (int)(path - entry - 1), entry, escaped(path));
    }
    for (size_t i = 0; i < unit->asked.count; i++) {
        const char *variable = strchr(unit->asked.items[i], ' ') + 1;
        say("compiling %s %s asked for the variable `%s`, which is withheld", name, version, escaped(variable));
    }
    if (unit->refused.count || unit->asked.count) {
        const char *told = session->unknown ? "`buildperm pending` lists that" : "the end of this build says how to decide";
        say("  %s; grants for it are in Cargo.toml, in the table of `%s`", told, crate);
    }
}

/* Landlock says nothing of what it refuses to run. A script is opened as the linker, but not what it calls in its turn. */
static void say_linker(const struct call *call, const struct section *section) {
    char head[2] = "";
    int handle = call->linker && *call->linker == '/' ? open(call->linker, O_RDONLY | O_CLOEXEC) : -1;
    if (handle < 0) return;
    bool is_script = read(handle, head, sizeof head) == sizeof head && !memcmp(head, "#!", sizeof head);
    close(handle);
    if (!is_script || !strcmp(section->compile, "watch")) return;
    say("the linker `%s` is a script, and a program that it calls may be one that is not open here", escaped(call->linker));
    say("  if it says so, write `compile = \"off\"` into Cargo.toml, in the table of `%s`: nothing holds that crate's compiler then",
        escaped(section->crate));
}

void unit_end(const struct unit *unit, const struct call *call, const struct session *session, const struct section *section, int status) {
    char *data, *path = formatted("%s/unit", unit->folder), *number = formatted("%d", status);
    size_t size;
    FILE *to = open_memstream(&data, &size);
    if (!to) fail("the marker");
    put(to, "unit", "1");
    put(to, "manifest", section->manifest_dir);
    put(to, "digest", section->digest);
    put(to, "profile", session->profile);
    put(to, "crate-name", name_in(call));
    put(to, "hash", call->extra ? call->extra + (*call->extra == '-') : "");
    put(to, "out-dir", unit->out_dir ? unit->out_dir : "");
    put(to, "target", call->target ? call->target : "");
    put_all(to, "feature", &call->features);
    put(to, "status", number);
    put_all(to, "macro", &unit->macros);
    put_all(to, "refused", &unit->refused);
    put_all(to, "asked", &unit->asked);
    if (call->writes_dep_info && unit->out_dir) {
        char *standard = formatted("%s/%s.d", unit->out_dir, unit->stem);
        put(to, "dep-info", call->dep_info ? call->dep_info : standard);
        free(standard);
    }
    fputs("end ", to), fputc(0, to);
    if (ferror(to) || fclose(to)) fail("the marker");
    if (unit->temporary && call->archives) remove_tree(unit->temporary);
    bool is_in_build = unit->out_dir && is_of_build(session, unit->out_dir);
    if (call->is_macro && is_in_build && !status) remember_library(unit, call, session);
    write_whole(path, data, size);
    if (status) say_refused(unit, session, section);
    if (status && call->links && call->emits_link) say_linker(call, section);
    free(data), free(path), free(number);
}
