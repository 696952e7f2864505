/* What the parts of the launcher know of one another: see launcher.c. */
#ifndef BUILDPERM_LAUNCHER_H
#define BUILDPERM_LAUNCHER_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- text.c: memory, text that others chose, and how the launcher ends ---- */

struct list {
    char **items; /* With a null pointer behind the last one. */
    size_t count, room;
};

void *allocate(size_t size);              /* Zeroed; ends the process where there is none. */
char *copied(const char *text);
char *formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));
void append(struct list *list, char *item);
bool holds(const struct list *list, const char *item);
const char *after(const char *text, const char *beginning); /* The rest, or a null pointer. */
bool is_within(const char *path, const char *folder);       /* It, or below it: both without links. */
char *escaped(const char *text);          /* One line of printable ASCII. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fail(const char *what);    /* With what errno says. */
char *real_path(const char *path);        /* Without links; a null pointer where nothing is. */
void make_folder(const char *path);       /* Private, if it is not there; ends where it cannot. */
void make_folders(const char *path);      /* With those above it, as mkdir -p. */
char *read_whole(const char *path, size_t most, size_t *size); /* With a NUL behind; null: it is not there. */
void write_whole(const char *path, const char *data, size_t size); /* Atomically; ends where it cannot. */
void remove_tree(const char *path);       /* Follows no links; leaves what it cannot remove. */

/* ---- session.c: what buildperm has decided for this build ---- */

struct section {
    const char *begin, *end;              /* Entries, each with its NUL. */
    const char *manifest_dir, *name, *version, *crate, *compile, *digest;
    const char *manifests;                /* Set: those of the whole workspace may be read. */
};

struct session {
    struct section globals;
    const char *begin, *end;              /* Of the sections. */
    const char *target, *state, *profile, *shim, *macros, *filter, *path, *python, *supervisor, *foreseen;
    const char *unknown;                  /* Set: a digest; packages without a section are held to nothing granted. */
    int layout;
};

void session_read(struct session *session, const char *path);
bool session_find(const struct session *session, const char *manifest_dir, struct section *section);
bool session_unnamed(const struct session *session, const char *manifest_dir, struct section *section);
const char *next_entry(const struct section *section, const char **at, const char **value);

/* ---- arguments.c: what the call is about ---- */

struct call {
    char **argv;                          /* What is executed, with null behind. */
    const char *compiler;                 /* As given. */
    const char *inner;                    /* rustc behind clippy-driver and its like, or null. */
    const char *arguments_file;           /* Behind an `@`, or null. */
    int arguments_handle;                 /* That file, open. */
    const char *crate_name, *out_dir, *output, *extra, *incremental, *target, *linker;
    const char *metadata;                 /* Tells units apart whose outputs have the same names. */
    const char *dep_info;                 /* Where `--emit=dep-info=` puts it. */
    struct list features, searched, externs, emitted, user_files;
    bool is_rustdoc, runs_tests, is_macro, writes_dep_info, writes_more;
    bool links, has_crate_type;           /* A linker is started, or what only it needs. */
    bool emits_link;                      /* A program or a library is made, and not only what is known of it. */
    bool archives, has_emit;              /* A library is made: rustc before 1.94 does so in TMPDIR. */
};

void call_read(struct call *call, char **words, int count);

/* ---- rights.c: Landlock ---- */

enum { CAN_LIST = 1, CAN_READ = 2, CAN_RUN = 4, CAN_WRITE = 8, CAN_MODIFY = 16, CAN_LINK = 32 };

void rights_begin(void);
void rights_allow(const char *path, int rights);
void rights_allow_handle(int handle, const char *path, int rights);
void rights_allow_section(const struct section *section);
void rights_allow_manifests(const struct session *session);
void rights_allow_own(void);
void rights_enforce(void);
bool rights_add(int ruleset, int handle, uint64_t access); /* What a file cannot have is left out. */
bool rights_keep_capabilities(void); /* Only those that root is left with. */

/* ---- unit.c: where this call's outputs are, and what is left of it ---- */

struct unit {
    char *key, *folder;                   /* Below the state folder. */
    char *stem;                           /* What names of its outputs begin with, behind `lib`. */
    char *out_dir;                        /* Without links. */
    char *incremental, *temporary;        /* Its own folders. */
    char *source;                         /* CARGO_MANIFEST_DIR, without links. */
    bool is_shared;                       /* Others put their outputs into the same folder. */
    struct list macros, refused, asked;   /* For the marker: whole entries. */
};

void unit_find(struct unit *unit, struct call *call, const struct session *session, const struct section *section);
void unit_allow(const struct unit *unit, const struct call *call, const struct session *session, const struct section *section);
void unit_end(const struct unit *unit, const struct call *call, const struct session *session, const struct section *section, int status);
void unit_leave(const struct call *call, const struct session *session, const struct section *section);
bool unit_note(struct list *list, char *entry);
char *library_key(const struct session *session, const char *library);

/* ---- variables.c: the environment of the compiler ---- */

void variables_withhold(const struct session *session, const struct section *section, struct list *withheld);

/* ---- broker.c: writes in folders that several calls share ---- */

void broker_begin(int notifications, const struct unit *unit, const struct call *call);
void broker_answer(void);

/* ---- requests.c: what the shim asks for ---- */

struct requests;
struct requests *requests_begin(int control, const struct session *session, const struct section *section, struct unit *unit, char **environment);
bool requests_answer(struct requests *requests);
bool requests_ready(const struct requests *requests); /* Whether the shim has been heard of. */
bool requests_end(struct requests *requests); /* Whether all hosts ended well. */
bool requests_started(const struct requests *requests, pid_t pid); /* Whether that is a supervisor. */

#endif
