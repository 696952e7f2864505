/* Memory, files, and text that others chose. */
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void *allocate(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) refuse("there is no memory left");
    return memory;
}

char *copied(const char *text) { return strcpy(allocate(strlen(text) + 1), text); }

static char *joined(const char *format, va_list values) {
    char *text;
    if (vasprintf(&text, format, values) < 0) refuse("there is no memory left");
    return text;
}

char *formatted(const char *format, ...) {
    va_list values;
    va_start(values, format);
    char *text = joined(format, values);
    va_end(values);
    return text;
}

void append(struct list *list, char *item) {
    if (list->count + 1 >= list->room) {
        size_t room = list->room ? list->room * 2 : 16;
        char **items = realloc(list->items, room * sizeof *items);
        if (!items) refuse("there is no memory left");
        list->items = items, list->room = room;
    }
    list->items[list->count++] = item, list->items[list->count] = NULL;
}

bool holds(const struct list *list, const char *item) {
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i], item)) return true;
    }
    return false;
}

const char *after(const char *text, const char *beginning) {
    size_t size = strlen(beginning);
    return strncmp(text, beginning, size) ? NULL : text + size;
}

bool is_within(const char *path, const char *folder) {
    const char *rest = after(path, folder);
    return rest && (!*rest || *rest == '/' || !strcmp(folder, "/"));
}

char *escaped(const char *text) {
    char *made = allocate(strlen(text) * 4 + 1), *to = made;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte < 0x7f && byte != '\\') *to++ = (char)byte;
        else to += sprintf(to, "\\x%02x", byte);
    }
    return made;
}

static void tell(const char *format, va_list values) {
    char *text = joined(format, values), *line = formatted("buildperm: %s\n", text);
    /* In one piece, among the lines of others. */
    if (write(2, line, strlen(line)) < 0) { /* Nobody reads it. */ }
    free(text), free(line);
}

void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    tell(format, values);
    va_end(values);
}

void refuse(const char *format, ...) {
    va_list values;
    va_start(values, format);
    tell(format, values);
    va_end(values);
    _exit(1);
}

void fail(const char *what) { refuse("the compiler cannot be held: %s: %s", what, strerror(errno)); }

char *real_path(const char *path) {
    char *found = realpath(path, NULL);
    if (!found && errno == ENOMEM) refuse("there is no memory left");
    return found;
}

void make_folder(const char *path) {
    if (mkdir(path, 0700) && errno != EEXIST) fail(escaped(path));
}

void make_folders(const char *path) {
    char *part = copied(path);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        if (mkdir(part, 0777) && errno != EEXIST) fail(escaped(part));
        *at = '/';
    }
    if (mkdir(part, 0777) && errno != EEXIST) fail(escaped(part));
    free(part);
}

char *read_whole(const char *path, size_t most, size_t *size) {
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return NULL;
        fail(escaped(path));
    }
    if (fstat(file, &about)) fail(escaped(path));
    if (!S_ISREG(about.st_mode)) refuse("`%s` is no file", escaped(path));
    if ((size_t)about.st_size > most) refuse("`%s` is too large", escaped(path));
    char *data = allocate((size_t)about.st_size + 1);
    size_t done = 0;
    while (done < (size_t)about.st_size) {
        ssize_t got = read(file, data + done, (size_t)about.st_size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail(escaped(path));
        done += (size_t)got;
    }
    close(file);
    *size = done;
    return data;
}

void write_whole(const char *path, const char *data, size_t size) {
    char *made = formatted("%s.%d", path, getpid());
    int file = open(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST && !unlink(made)) { /* Of a process that was killed. */
        file = open(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (file < 0) fail(escaped(made));
    for (size_t done = 0; done < size;) {
        ssize_t put = write(file, data + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail(escaped(made));
        done += (size_t)put;
    }
    if (close(file) || rename(made, path)) fail(escaped(path));
    free(made);
}

static void remove_within(int folder) { /* Takes the descriptor. */
    DIR *list = fdopendir(folder);
    if (!list) {
        close(folder);
        return;
    }
    for (struct dirent *entry; (entry = readdir(list));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (!unlinkat(dirfd(list), entry->d_name, 0)) continue;
        int inner = openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0) continue;
        remove_within(inner);
        unlinkat(dirfd(list), entry->d_name, AT_REMOVEDIR);
    }
    closedir(list);
}

void remove_tree(const char *path) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder >= 0) remove_within(folder);
    rmdir(path);
}
