/* Landlock: everything that this kernel can refuse is refused, and what the session and the call need is allowed. */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/landlock.h and openat2.h; older headers lack some. */
enum {
    EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5, MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, MAKE_SOCK = 1 << 9, MAKE_FIFO = 1 << 10,
    MAKE_SYM = 1 << 12, REFER = 1 << 13, TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15,
    OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV,
    FIRST_ABI = 3, /* The first in which truncating is refused, too: before it a file that may be read can be emptied. */
};
struct open_how_ { uint64_t flags, mode, resolve; };

static int ruleset = -1;
static uint64_t known;

void rights_begin(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) fail("this kernel has no Landlock, or it is switched off");
    if (abi < FIRST_ABI) refuse("the compiler cannot be held: the Landlock of this kernel is too old (ABI %ld)", abi);
    known = (1 << 15) - 1;
    if (abi >= 5) known |= IOCTL_DEV;
    const uint64_t handled[] = {known, 3, 3}; /* Files; TCP; abstract sockets, and signals to others. */
    size_t size = abi < 4 ? 8 : abi < 6 ? 16 : 24;
    if ((ruleset = (int)syscall(SYS_landlock_create_ruleset, handled, size, 0)) < 0) fail("Landlock");
    if (fcntl(ruleset, F_SETFD, FD_CLOEXEC)) fail("Landlock");
}

bool rights_add(int set, int handle, uint64_t access) {
    struct stat found;
    if (fstat(handle, &found)) return false;
    if (!S_ISDIR(found.st_mode)) access &= OF_FILES;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = handle};
    return !access || !syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

void rights_allow_handle(int handle, const char *path, int rights) {
    uint64_t access = 0;
    if (rights & CAN_LIST) access |= READ_DIR;
    if (rights & CAN_READ) access |= READ_FILE | READ_DIR;
    if (rights & CAN_RUN) access |= READ_FILE | READ_DIR | EXECUTE;
    if (rights & CAN_MODIFY) access |= READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV;
    if (rights & CAN_WRITE) {
        access |= READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER;
    }
    if (rights & CAN_LINK) access |= MAKE_SYM | MAKE_FIFO | MAKE_SOCK;
    if (!rights_add(ruleset, handle, access & known)) fail(escaped(path));
}

/* No link is followed: it would be one that somebody has made since this path was decided on. */
void rights_allow(const char *path, int rights) {
    const struct open_how_ how = {.flags = O_PATH | O_CLOEXEC, .resolve = 0x04}; /* RESOLVE_NO_SYMLINKS */
    int handle = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (handle < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES) return;
        fail(escaped(path));
    }
    rights_allow_handle(handle, path, rights);
    close(handle);
}

/* What the calling process may be told about itself by names that only it has; what it starts, not. */
void rights_allow_own(void) {
    static const char *const names[] = {"statm", "maps", NULL};
    char path[64];
    for (const char *const *name = names; *name; name++) {
        snprintf(path, sizeof path, "/proc/%d/%s", getpid(), *name);
        rights_allow(path, CAN_READ);
    }
}

void rights_allow_section(const struct section *section) {
    const char *at = section->begin, *value, *entry;
    while ((entry = next_entry(section, &at, &value))) {
        if (entry[1] != ' ') continue;
        switch (entry[0]) {
        case 'r': rights_allow(value, CAN_READ); break;
        case 'x': rights_allow(value, CAN_RUN); break;
        case 'w': rights_allow(value, CAN_MODIFY); break;
        case 'd': rights_allow(value, CAN_LIST); break;
        }
    }
}

/* They are written once for all packages of the workspace. */
void rights_allow_manifests(const struct session *session) {
    const char *at = session->globals.begin, *value, *entry;
    while ((entry = next_entry(&session->globals, &at, &value))) {
        if (entry[0] == 'm' && entry[1] == ' ') rights_allow(value, CAN_READ);
    }
}

/* What root keeps: to handle files of other users, and to become one. The rest is about the machine. */
enum { KEPT = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 6 | 1 << 7, LAST = 63 }; /* supervisor/hardening.py */

bool rights_keep_capabilities(void) {
    struct { uint32_t version; int pid; } head = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } sets[2];
    if (syscall(SYS_capget, &head, sets)) return false;
    sets[0].effective &= KEPT, sets[0].permitted &= KEPT, sets[0].inheritable = 0;
    sets[1].effective = sets[1].permitted = sets[1].inheritable = 0;
    return !syscall(SYS_capset, &head, sets);
}

static void drop_others(void) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int each = 0; each <= LAST; each++) {
        bool is_kept = each < 32 && KEPT >> each & 1;
        if (!is_kept && prctl(PR_CAPBSET_DROP, each, 0, 0, 0)) continue; /* Not there, or not ours to drop. */
    }
}

void rights_enforce(void) {
    drop_others();
    if (!rights_keep_capabilities()) fail("capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("no_new_privs");
    if (syscall(SYS_landlock_restrict_self, ruleset, 0)) {
        if (errno == E2BIG) refuse("the compiler cannot be held: 16 sandboxes are stacked in one another already");
        fail("Landlock");
    }
    close(ruleset);
}
