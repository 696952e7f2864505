/* Reads the arguments of rustc, rustdoc and clippy-driver, as far as rights depend on them.

   What is read here can only widen rights to what Cargo or the user wrote: a crate chooses values behind `--cfg`,
   `--check-cfg`, `-l`, `-L` and `-C link-arg`, and nothing is allowed for the sake of these but folders of the target
   directory. Where rustc understands an argument in another way, it is refused what it then needs. */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1 << 26 };

/* Options with a value, which may be the next argument: rustc_session's and rustdoc's. */
static const char *const valued[] = {
    "allow", "cap-lints", "cfg", "check-cfg", "check-theme", "codegen", "color", "crate-name", "crate-type", "crate-version", "default-theme",
    "deny", "diagnostic-width", "doctest-build-arg", "doctest-compilation-args", "edition", "emit", "env-set", "error-format", "explain",
    "extend-css", "extern", "extern-html-root-url", "forbid", "force-warn", "html-after-content", "html-before-content",
    "html-in-header", "include-parts-dir", "index-page", "json", "lint-level", "lints", "markdown-after-content",
    "markdown-before-content", "markdown-css", "markdown-playground-url", "merge", "out-dir", "output", "output-format",
    "parts-out-dir", "passes", "persist-doctests", "playground-url", "plugin-path", "plugins", "pretty", "print",
    "remap-path-prefix", "remap-path-scope", "resource-suffix", "runtool", "runtool-arg", "scrape-examples-output-path",
    "scrape-examples-target-crate", "static-root-path", "sysroot", "target", "test-args", "test-builder",
    "test-builder-wrapper", "test-run-directory", "test-runtool", "test-runtool-arg", "theme", "unpretty", "unstable-options-file", "warn",
    "with-examples", "write-doc-meta-dir", "read-doc-meta-dir", NULL,
};
static const char *const of_files[] = { /* Of rustdoc, with a file that the user chose. */
    "check-theme", "extend-css", "html-after-content", "html-before-content", "html-in-header", "index-page",
    "markdown-after-content", "markdown-before-content", "theme", "with-examples", NULL,
};

static bool is_among(const char *const *names, const char *name, size_t size) {
    for (; *names; names++) {
        if (strlen(*names) == size && !strncmp(*names, name, size)) return true;
    }
    return false;
}

static void once(const char **to, const char *value, const char *what) {
    if (*to) refuse("the compiler is called with two values for %s", what);
    *to = value;
}

static void read_codegen(struct call *call, const char *option) {
    const char *value;
    if ((value = after(option, "extra-filename="))) call->extra = value;
    else if ((value = after(option, "incremental="))) call->incremental = value;
    else if ((value = after(option, "metadata="))) call->metadata = value;
    else if ((value = after(option, "linker="))) call->linker = value;
    else if ((value = after(option, "profile-use="))) append(&call->user_files, copied(value));
}

static void read_emit(struct call *call, const char *kinds) {
    char *rest = copied(kinds), *kind;
    call->has_emit = true;
    while ((kind = strsep(&rest, ","))) {
        char *path = strchr(kind, '=');
        call->emits_link |= !strncmp(kind, "link", 4) && (kind[4] == '=' || !kind[4]);
        if (!strncmp(kind, "dep-info", 8) && (kind[8] == '=' || !kind[8])) call->writes_dep_info = true, call->dep_info = path ? path + 1 : NULL;
        else call->writes_more = true;
        if (path && strcmp(path + 1, "-")) append(&call->emitted, path + 1);
    }
}

static void read_crate_types(struct call *call, const char *types) {
    char *rest = copied(types), *type;
    call->has_crate_type = true;
    while ((type = strsep(&rest, ","))) {
        call->is_macro |= !strcmp(type, "proc-macro");
        call->links |= strcmp(type, "lib") && strcmp(type, "rlib");
    }
}

static void read_long(struct call *call, const char *name, size_t size, const char *value) {
#define IS(text) (size == sizeof text - 1 && !strncmp(name, text, size))
    if (IS("crate-name")) once(&call->crate_name, value, "`--crate-name`");
    else if (IS("out-dir") || (call->is_rustdoc && IS("output"))) once(&call->out_dir, value, "`--out-dir`");
    else if (IS("crate-type")) read_crate_types(call, value);
    else if (IS("target")) call->target = value;
    else if (IS("codegen")) read_codegen(call, value);
    else if (IS("emit")) read_emit(call, value);
    else if (IS("extern")) append(&call->externs, copied(value));
    else if (IS("cfg") && after(value, "feature=\"")) append(&call->features, strndup(value + 9, strcspn(value + 9, "\"")));
    else if (call->is_rustdoc && is_among(of_files, name, size)) append(&call->user_files, copied(value));
#undef IS
}

/* Take one option; whether its value is `next`. */
static bool read_option(struct call *call, const char *word, const char *next) {
    if (word[1] == '-') {
        const char *name = word + 2, *equals = strchr(name, '=');
        size_t size = equals ? (size_t)(equals - name) : strlen(name);
        if (equals) {
            read_long(call, name, size, equals + 1);
            return false;
        }
        if (!strcmp(name, "test")) call->links = true;
        if (!strcmp(name, "test")) call->runs_tests |= call->is_rustdoc;
        if (!next || !is_among(valued, name, size)) return false;
        read_long(call, name, size, next);
        return true;
    }
    if (!word[1] || !strchr("LloAWDFCZ", word[1])) return false;
    const char *value = word[2] ? word + 2 : next;
    if (!value) return false;
    switch (word[1]) {
    case 'L': append(&call->searched, copied(value)); break;
    case 'o': once(call->is_rustdoc ? &call->out_dir : &call->output, value, "`-o`"); break;
    case 'C': read_codegen(call, value); break;
    }
    return !word[2];
}

/* Cargo writes one argument a line into a file of its own when they are too many for execve(2). Such a word among
   others comes from a crate (a `cfg` that its build script prints), or from flags. */
static void read_file(struct call *call, const char *path, struct list *words) {
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0 || fstat(file, &about)) fail(escaped(path));
    if (!S_ISREG(about.st_mode) || about.st_uid != geteuid() || about.st_size > MOST) {
        refuse("the compiler would read arguments from `%s`, which is no file of yours", escaped(path));
    }
    char *text = allocate((size_t)about.st_size + 1), *line;
    for (off_t done = 0; done < about.st_size;) {
        ssize_t got = pread(file, text + done, (size_t)(about.st_size - done), done);
        if (got <= 0) fail(escaped(path));
        done += got;
    }
    if (strlen(text) != (size_t)about.st_size) refuse("an argument of the compiler holds a NUL");
    if (about.st_size && text[about.st_size - 1] == '\n') text[about.st_size - 1] = 0;
    while ((line = strsep(&text, "\n"))) {
        size_t size = strlen(line);
        if (size && line[size - 1] == '\r') line[size - 1] = 0;
        append(words, line);
    }
    call->arguments_file = path, call->arguments_handle = file;
}

static const char *base_name(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

void call_read(struct call *call, char **given, int count) {
    struct list words = {0}, executed = {0};
    *call = (struct call){.compiler = given[0], .arguments_handle = -1};
    call->is_rustdoc = after(base_name(given[0]), "rustdoc");
    for (int i = 0; i < count; i++) append(&executed, given[i]);
    int first = 1;
    if (count > 1 && given[1][0] != '-' && given[1][0] != '@' && after(base_name(given[1]), "rustc")) call->inner = given[first++];
    for (int i = first; i < count; i++) {
        if (given[i][0] != '@') append(&words, given[i]);
        else if (count == first + 1) read_file(call, given[i] + 1, &words);
        else refuse("the compiler would read further arguments from a file behind an `@`: remove that word from flags and `cfg`");
    }
    for (size_t i = 0; i < words.count; i++) {
        if (words.items[i][0] == '-' && !strcmp(words.items[i], "--")) break;
        if (words.items[i][0] == '-' && words.items[i][1]) i += read_option(call, words.items[i], words.items[i + 1]);
    }
    call->links |= !call->has_crate_type;
    call->emits_link |= !call->has_emit;
    call->archives |= call->links || call->emits_link;
    call->argv = executed.items;
}
