/* Finds out what a path of a held process is for the broker: one of the call's own outputs, something in a folder of
   its own, or none of its business.

   A path is followed to the descriptor of the folder that its last part is in, and everything is done relative to that.
   The folder counts as what the kernel says that it is, and is opened again below a folder that the launcher has held
   open from the start, without any link: whoever changes names or links meanwhile gains nothing. */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SHORTENED_REST = 126, SHORTENED_DIGEST = 16 }; /* Bytes; MAX_FILENAME_LENGTH is 143. */
enum { MOST_TREES = 64, NO_MAGICLINKS = 0x02, NO_SYMLINKS = 0x04, BENEATH = 0x08 };

struct tree {
    char *path;          /* Without links. */
    int handle;
    enum place_kind kind; /* OWN_TREE, or OWN_FILE where only some names are the call's, or TEMPORARY. */
    struct list stems;   /* Of the names, for OWN_FILE. */
    struct list names;   /* Whole ones. */
};

static struct tree trees[MOST_TREES];
static size_t count;
static const char *extra; /* By what Cargo tells the stems of units apart; empty where it does not. */

static int open_beneath(int folder, const char *path, uint64_t flags) {
    const struct { uint64_t flags, mode, resolve; } how = {flags | O_CLOEXEC, 0, BENEATH | NO_SYMLINKS | NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, folder, *path ? path : ".", &how, sizeof how);
}

static struct tree *add(const char *path, enum place_kind kind) {
    for (size_t i = 0; i < count; i++) if (!strcmp(trees[i].path, path)) return trees + i;
    int handle = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (handle < 0) fail(escaped(path));
    if (count == MOST_TREES) refuse("the compiler is to write into too many folders");
    trees[count] = (struct tree){.path = copied(path), .handle = handle, .kind = kind};
    return trees + count++;
}

/* A file that the user names, by `-o` or `--emit=KIND=`. */
static void add_named(const char *path, bool with_stem) {
    char *folder = copied(path), *slash = strrchr(folder, '/');
    const char *name = slash ? slash + 1 : path;
    if (slash) *slash = 0;
    char *found = real_path(!slash ? "." : *folder ? folder : "/");
    if (found) {
        struct tree *tree = add(found, OWN_FILE);
        append(&tree->names, copied(name));
        if (with_stem) append(&tree->stems, strndup(name, strcspn(name, ".")));
    }
    free(folder), free(found);
}

void places_begin(const struct unit *unit, const struct call *call) {
    extra = call->extra ? call->extra : "";
    if (unit->temporary && call->archives) add(unit->temporary, OWN_TREE);
    if (unit->incremental) add(unit->incremental, OWN_TREE);
    if (unit->out_dir && !unit->is_shared) add(unit->out_dir, OWN_TREE);
    if (unit->out_dir && unit->is_shared) append(&add(unit->out_dir, OWN_FILE)->stems, unit->stem);
    if (call->output) add_named(call->output, true);
    for (size_t i = 0; i < call->emitted.count; i++) add_named(call->emitted.items[i], false);
}

/* The loader's name of a library, such as `libc.so.6`: Cargo has programs look for these among outputs. The linker's
   own temporaries and packed debug information look alike. */
static bool is_loaded_name(const char *name) {
    const char *at = strstr(name, ".so.");
    return at && strncmp(at, ".so.tmp", 7) && strcmp(at, ".so.dwp") && !strstr(at, ".rcgu.");
}

/* `DIGEST-REST`: of a name that would be too long, rustc leaves the last bytes (rustc_session, maybe_strip_file_name). They
   have to begin with what tells the stem from those of other units, and more of it. */
static bool is_shortened(const char *stem, const char *name) {
    size_t digest = strspn(name, "0123456789abcdef"), whole = strlen(stem);
    size_t told = strlen(extra);
    if (!told || whole < told || strcmp(stem + whole - told, extra)) return false;
    if (!digest || digest > SHORTENED_DIGEST || name[digest] != '-') return false;
    const char *rest = name + digest + 1;
    size_t left = strcspn(rest, ".");
    return strlen(rest) == SHORTENED_REST && left > told && left < whole && !memcmp(stem + whole - left, rest, left);
}

/* `STEM`, `STEM.…`, `libSTEM.…` */
static bool is_own(const struct tree *tree, const char *name) {
    if (holds(&tree->names, name)) return true;
    if (is_loaded_name(name)) return false;
    for (size_t i = 0; i < tree->stems.count; i++) {
        const char *stem = tree->stems.items[i], *rest = after(name, stem), *library = after(name, "lib");
        if ((rest && (!*rest || *rest == '.')) || is_shortened(stem, name)) return true;
        if (library && (rest = after(library, stem)) && *rest == '.') return true;
    }
    return false;
}

/* The innermost tree that `path` is in, or is; what is behind the tree's path. */
static struct tree *tree_of(const char *path, const char **rest) {
    struct tree *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (trees[i].handle < 0 || !is_within(path, trees[i].path)) continue;
        if (!best || strlen(trees[i].path) > strlen(best->path)) best = trees + i;
    }
    if (best) *rest = path + strlen(best->path);
    if (best && **rest == '/') ++*rest;
    return best;
}

/* `folder`: of the place, without links; the name is there already. */
static int place_in(struct place *place, const char *folder) {
    const char *rest;
    struct tree *tree = tree_of(folder, &rest);
    place->kind = OUTSIDE;
    snprintf(place->path, sizeof place->path, "%s/%s", strcmp(folder, "/") ? folder : "", place->name);
    if (!tree) return 0;
    if (tree->kind == OWN_FILE) {
        if (*rest) return 0;
        const char *below;
        struct tree *inner = tree_of(place->path, &below);
        if (inner != tree && !*below) place->kind = TOP;
        else if (is_own(tree, place->name)) place->kind = OWN_FILE;
        else if (!place_may_be_made(place)) return 0;
    } else {
        place->kind = tree->kind;
    }
    place->folder = open_beneath(tree->handle, rest, O_PATH | O_DIRECTORY);
    return place->folder < 0 ? errno : 0;
}

/* Whether `/`, a part of it, or its end could mean anything but itself. */
static bool is_plain(const char *path) {
    for (; *path == '/'; path += 1 + strcspn(path + 1, "/")) {
        if (path[1] == '/' || !path[1]) return false;
        if (path[1] == '.' && (path[2] == '/' || !path[2])) return false;
        if (path[1] == '.' && path[2] == '.' && (path[3] == '/' || !path[3])) return false;
    }
    return !*path;
}

static int link_text(char text[PATH_MAX], const char *link) {
    ssize_t size = readlink(link, text, PATH_MAX);
    if (size < 0) return errno;
    if (size == PATH_MAX) return ENAMETOOLONG;
    text[size] = 0;
    return 0;
}

int place_find(struct place *place, pid_t pid, int start, const char *path) {
    char folder[PATH_MAX], link[64], found[PATH_MAX];
    *place = (struct place){.folder = -1};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *rest;
    size_t size = strlen(name);
    if (!*path) return ENOENT;
    if (size > NAME_MAX) return ENAMETOOLONG;
    if (!size || !strcmp(name, ".") || !strcmp(name, "..")) return 0; /* Nothing that the broker does. */
    memcpy(place->name, name, size + 1);
    if (slash) memcpy(folder, path, (size_t)(slash - path)), folder[slash - path] = 0;
    /* Mostly the very path that Cargo gave; what is at it is in our hands since the start. */
    if (slash && is_plain(path) && tree_of(folder, &rest)) return place_in(place, folder);
    if (!slash) strcpy(folder, ".");
    else if (slash == path) strcpy(folder, "/");
    int at = AT_FDCWD, error = 0;
    if (*path != '/') {
        if (start == AT_FDCWD) snprintf(link, sizeof link, "/proc/%d/cwd", pid);
        else snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, start);
        if ((at = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return errno;
    }
    const struct { uint64_t flags, mode, resolve; } how = {O_PATH | O_DIRECTORY | O_CLOEXEC, 0, NO_MAGICLINKS};
    int opened = (int)syscall(SYS_openat2, at, folder, &how, sizeof how);
    if (opened < 0) {
        error = errno == ELOOP ? 0 : errno;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", opened);
        error = link_text(found, link);
        close(opened);
        if (!error) error = place_in(place, found);
    }
    if (at >= 0) close(at);
    return error;
}

/* What an O_PATH descriptor leads to. */
int place_of_descriptor(struct place *place, int handle) {
    char link[64], found[PATH_MAX];
    struct stat there, again;
    *place = (struct place){.folder = -1};
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    int error = link_text(found, link);
    char *slash = error ? NULL : strrchr(found, '/');
    if (error || *found != '/' || !slash[1] || strlen(slash + 1) > NAME_MAX) return error;
    strcpy(place->name, slash + 1);
    *slash = 0;
    if ((error = place_in(place, *found ? found : "/"))) return error;
    if (place->folder < 0) return 0;
    if (fstat(handle, &there) || fstatat(place->folder, place->name, &again, AT_SYMLINK_NOFOLLOW)) return errno;
    if (there.st_dev != again.st_dev || there.st_ino != again.st_ino) place->kind = OUTSIDE;
    return 0;
}

void place_close(struct place *place) {
    if (place->folder >= 0) close(place->folder);
    place->folder = -1;
}

/* rustc's own: `rmetaXXXXXX`, `rustcXXXXXX`, `.tmpXXXXXX.temp-archive`. */
bool place_may_be_made(const struct place *place) {
    const char *rest = after(place->name, "rmeta"), *ending = "";
    if (!rest) rest = after(place->name, "rustc");
    if (!rest && (rest = after(place->name, ".tmp"))) ending = ".temp-archive";
    if (!rest || strlen(rest) < 6) return false;
    for (int i = 0; i < 6; i++) {
        char c = rest[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) return false;
    }
    return !strcmp(rest + 6, ending);
}

void place_made(const struct place *place) {
    size_t at = 0;
    while (at < count && trees[at].handle >= 0) at++; /* One that was removed leaves its entry. */
    int handle = at < MOST_TREES ? open_beneath(place->folder, place->name, O_PATH | O_DIRECTORY) : -1;
    if (handle < 0) return; /* Then nothing may be made in it. */
    trees[at] = (struct tree){.path = copied(place->path), .handle = handle, .kind = TEMPORARY};
    if (at == count) count++;
}

void place_removed(const struct place *place) {
    for (size_t i = 0; i < count; i++) {
        if (trees[i].kind != TEMPORARY || trees[i].handle < 0 || strcmp(trees[i].path, place->path)) continue;
        close(trees[i].handle), free(trees[i].path);
        trees[i] = (struct tree){.handle = -1, .path = ""};
    }
}
