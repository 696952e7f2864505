/* Makes changes for the compiler and the linker in folders that several calls share.

   Landlock knows folders, not names, so it gives no right to write there. The filter stops every call that would make,
   change or remove a file, and this process answers (seccomp(2), SECCOMP_RET_USER_NOTIF): it copies the arguments,
   looks whether the path is one of this call's own outputs, and then makes the change itself, on its own copy.
   An opened file is handed over (SECCOMP_IOCTL_NOTIF_ADDFD). All else goes on as if it had not been stopped: then
   Landlock decides. Only changes of mode, owner and times, which Landlock does not know, are never let go on. */
#include "places.h"

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

enum {
    MODES = 0777, /* Nothing becomes setuid, setgid or sticky. */
    ALLOWED = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
    GO_ON = 1, SENT = 2, /* Answers that are no errno. */
};

static int notifications;
static struct seccomp_notif *asked;
static struct seccomp_notif_resp *answer;
static struct seccomp_notif_sizes sizes;
static const struct unit *unit;

void broker_begin(int handle, const struct unit *its, const struct call *call) {
    notifications = handle, unit = its;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes)) fail("seccomp");
    asked = allocate(sizes.seccomp_notif > sizeof *asked ? sizes.seccomp_notif : sizeof *asked);
    answer = allocate(sizes.seccomp_notif_resp > sizeof *answer ? sizes.seccomp_notif_resp : sizeof *answer);
    /* Both sides take turns, so that they may as well run on the same processor; older kernels do not know it. */
    ioctl(notifications, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1UL);
    places_begin(its, call);
}

static bool is_alive(void) { return ioctl(notifications, SECCOMP_IOCTL_NOTIF_ID_VALID, &asked->id) == 0; }

/* ---- Arguments ---- */

static int copy(void *to, uint64_t from, size_t size) {
    return memory_read((pid_t)asked->pid, from, to, size) == (ssize_t)size ? 0 : EFAULT;
}

static int copy_path(char to[PATH_MAX], uint64_t from) {
    enum { PAGE = 4096 };
    for (size_t size = 0; size < PATH_MAX;) {
        size_t part = PAGE - (from + size) % PAGE; /* What is behind the end of a page may not be there. */
        if (part > PATH_MAX - size) part = PATH_MAX - size;
        if (copy(to + size, from + size, part)) return EFAULT;
        if (memchr(to + size, 0, part)) return 0;
        size += part;
    }
    return ENAMETOOLONG;
}

static int find(struct place *place, int start, uint64_t path) {
    char text[PATH_MAX];
    int error = copy_path(text, path);
    /* What was copied is of the process that has asked only if that still waits. */
    if (!error && !is_alive()) error = ESRCH;
    if (!error) error = place_find(place, (pid_t)asked->pid, start, text);
    return error;
}

static bool is_brokered(const struct place *place) { return place->kind == OWN_FILE || place->kind == TEMPORARY; }

/* ---- Files ---- */

static int hand_over(int file, uint64_t flags) {
    struct seccomp_notif_addfd handed = {
        .id = asked->id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)file,
        .newfd_flags = flags & O_CLOEXEC ? O_CLOEXEC : 0,
    };
    int given = ioctl(notifications, SECCOMP_IOCTL_NOTIF_ADDFD, &handed), error = errno;
    close(file);
    return given >= 0 || error == ENOENT ? SENT : -error;
}

static int open_file(int start, uint64_t path, uint64_t flags, uint64_t mode) {
    struct place place = {.folder = -1};
    struct stat about;
    int error = find(&place, start, path);
    if (error || !is_brokered(&place)) {
        place_close(&place);
        return error == EFAULT || error == ESRCH ? -error : GO_ON;
    }
    const struct { uint64_t flags, mode, resolve; } how = {
        (flags & ALLOWED) | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, flags & O_CREAT ? mode & MODES : 0, 0x0e, /* As in places.c. */
    };
    int file = flags & O_PATH || (flags & O_TMPFILE) == O_TMPFILE ? (errno = EACCES, -1) : (int)syscall(SYS_openat2, place.folder, place.name, &how, sizeof how);
    error = errno;
    place_close(&place);
    if (file < 0) return -error;
    if (fstat(file, &about) || !S_ISREG(about.st_mode)) {
        close(file);
        return -EACCES;
    }
    return hand_over(file, flags);
}

static int truncate_file(uint64_t path, uint64_t size) {
    struct place place = {.folder = -1};
    int error = find(&place, AT_FDCWD, path), file;
    if (error || !is_brokered(&place)) {
        place_close(&place);
        return error == EFAULT || error == ESRCH ? -error : GO_ON;
    }
    file = openat(place.folder, place.name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    error = file < 0 || ftruncate(file, (off_t)size) ? errno : 0;
    if (file >= 0) close(file);
    place_close(&place);
    return -error;
}

static int unlink_file(int start, uint64_t path, int flags) {
    struct place place = {.folder = -1};
    int error = find(&place, start, path);
    bool is_ours = !error && (is_brokered(&place) || (place.kind == TOP && flags == AT_REMOVEDIR));
    if (!is_ours) {
        place_close(&place);
        return error == EFAULT || error == ESRCH ? -error : GO_ON;
    }
    error = unlinkat(place.folder, place.name, flags & AT_REMOVEDIR) ? errno : 0;
    if (!error && place.kind == TOP) place_removed(&place);
    place_close(&place);
    return -error;
}

static int make_directory(int start, uint64_t path, uint64_t mode) {
    struct place place = {.folder = -1};
    int error = find(&place, start, path);
    bool is_top = !error && place.kind == OUTSIDE && place.folder >= 0; /* See place_in: it may be made. */
    if (error || !(is_top || place.kind == TEMPORARY)) {
        place_close(&place);
        return error == EFAULT || error == ESRCH ? -error : GO_ON;
    }
    error = mkdirat(place.folder, place.name, (mode & MODES) | 0700) ? errno : 0;
    if (!error && is_top) place_made(&place);
    place_close(&place);
    return -error;
}

static int rename_file(int from_start, uint64_t from_path, int to_start, uint64_t to_path, unsigned flags) {
    struct place from = {.folder = -1}, to = {.folder = -1};
    int error = find(&from, from_start, from_path), result = GO_ON;
    if (!error) error = find(&to, to_start, to_path);
    if (error) result = error == EFAULT || error == ESRCH ? -error : GO_ON;
    else if (is_brokered(&from) && is_brokered(&to)) {
        result = flags & ~1U /* RENAME_NOREPLACE */ ? -EINVAL
            : syscall(SYS_renameat2, from.folder, from.name, to.folder, to.name, flags) ? -errno : 0;
    } else if (is_brokered(&from) ? to.kind == OWN_TREE : is_brokered(&to) && from.kind == OWN_TREE) {
        result = -EXDEV; /* So that it is copied instead. */
    }
    place_close(&from), place_close(&to);
    return result;
}

/* Only files that the call may write anyway get another name. */
static int link_file(int from_start, uint64_t from_path, int to_start, uint64_t to_path) {
    struct place from = {.folder = -1}, to = {.folder = -1};
    struct stat about;
    char link[64];
    int error = find(&from, from_start, from_path), result = GO_ON;
    if (!error) error = find(&to, to_start, to_path);
    if (error) {
        result = error == EFAULT || error == ESRCH ? -error : GO_ON;
    } else if ((is_brokered(&from) && (is_brokered(&to) || to.kind == OWN_TREE)) || (from.kind == OWN_TREE && is_brokered(&to))) {
        int file = openat(from.folder, from.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (file < 0) result = -errno;
        else if (fstat(file, &about) || !S_ISREG(about.st_mode)) result = -EPERM;
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", file);
            result = linkat(AT_FDCWD, link, to.folder, to.name, AT_SYMLINK_FOLLOW) ? -errno : 0;
        }
        if (file >= 0) close(file);
    }
    place_close(&from), place_close(&to);
    return result;
}

/* ---- Mode, owner, times ---- */

/* An O_PATH descriptor of a file that the call may write, or minus an errno. */
static int find_writable(int start, uint64_t path) {
    struct place place = {.folder = -1};
    struct stat about;
    char link[64];
    int file, error;
    if (path) {
        if ((error = find(&place, start, path))) return -error;
        file = place.folder < 0 || place.kind == OUTSIDE ? (errno = EACCES, -1) : openat(place.folder, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    } else {
        snprintf(link, sizeof link, "/proc/%u/fd/%d", asked->pid, start);
        file = open(link, O_PATH | O_CLOEXEC);
        if (file >= 0 && !is_alive()) close(file), file = -1, errno = ESRCH;
    }
    if (file < 0) {
        error = errno;
        place_close(&place);
        return -error;
    }
    bool is_ours = !fstat(file, &about) && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
    if (is_ours && !path && about.st_nlink) is_ours = !place_of_descriptor(&place, file) && place.folder >= 0 && place.kind != OUTSIDE;
    place_close(&place);
    if (is_ours) return file;
    close(file);
    return -EACCES;
}

static int change_mode(int start, uint64_t path, uint64_t mode) {
    char link[64];
    int file = find_writable(start, path);
    if (file < 0) return file;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int result = chmod(link, mode & MODES) ? -errno : 0;
    close(file);
    return result;
}

static int change_owner(int start, uint64_t path, uint64_t user, uint64_t group) {
    int file = find_writable(start, path);
    if (file < 0) return file;
    close(file);
    bool is_same = ((uint32_t)user == (uint32_t)-1 || user == geteuid()) && ((uint32_t)group == (uint32_t)-1 || group == getegid());
    return is_same ? 0 : -EPERM;
}

static int change_times(int start, uint64_t path, uint64_t values, long unit_ns, bool is_short) {
    struct timespec times[2];
    struct { int64_t seconds, parts; } given[2];
    int64_t seconds[2];
    char link[64];
    if (values && is_short) {
        if (copy(seconds, values, sizeof seconds)) return -EFAULT;
        for (int i = 0; i < 2; i++) times[i] = (struct timespec){seconds[i], 0};
    } else if (values) {
        if (copy(given, values, sizeof given)) return -EFAULT;
        for (int i = 0; i < 2; i++) {
            if (unit_ns != 1 && (given[i].parts < 0 || given[i].parts >= 1000000)) return -EINVAL;
            times[i] = (struct timespec){given[i].seconds, given[i].parts * unit_ns};
        }
    }
    int file = find_writable(start, path);
    if (file < 0) return file;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int result = utimensat(AT_FDCWD, link, values ? times : NULL, 0) ? -errno : 0;
    close(file);
    return result;
}

/* ---- System calls ---- */

static int decide(const struct seccomp_data *call) {
    const __u64 *a = call->args;
#define AT(n) ((int)a[n])
    switch (call->nr) {
    case SYS_openat: return open_file(AT(0), a[1], a[2], a[3]);
    case SYS_renameat2: return rename_file(AT(0), a[1], AT(2), a[3], (unsigned)a[4]);
    case SYS_unlinkat: return unlink_file(AT(0), a[1], AT(2));
    case SYS_linkat: return link_file(AT(0), a[1], AT(2), a[3]);
    case SYS_mkdirat: return make_directory(AT(0), a[1], a[2]);
    case SYS_truncate: return truncate_file(a[0], a[1]);
    case SYS_symlinkat: return GO_ON;
    case SYS_fchmod: return change_mode(AT(0), 0, a[1]);
    case SYS_fchmodat: case 452 /* fchmodat2 */: return change_mode(AT(0), a[1], a[2]);
    case SYS_fchown: return change_owner(AT(0), 0, a[1], a[2]);
    case SYS_fchownat: return change_owner(AT(0), a[1], a[2], a[3]);
    case SYS_utimensat: return change_times(AT(0), a[1], a[2], 1, false);
#ifdef SYS_renameat
    case SYS_renameat: return rename_file(AT(0), a[1], AT(2), a[3], 0);
#endif
#ifdef SYS_open
    case SYS_open: return open_file(AT_FDCWD, a[0], a[1], a[2]);
    case SYS_creat: return open_file(AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
    case SYS_rename: return rename_file(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
    case SYS_unlink: return unlink_file(AT_FDCWD, a[0], 0);
    case SYS_rmdir: return unlink_file(AT_FDCWD, a[0], AT_REMOVEDIR);
    case SYS_link: return link_file(AT_FDCWD, a[0], AT_FDCWD, a[1]);
    case SYS_symlink: return GO_ON;
    case SYS_mkdir: return make_directory(AT_FDCWD, a[0], a[1]);
    case SYS_chmod: return change_mode(AT_FDCWD, a[0], a[1]);
    case SYS_chown: case SYS_lchown: return change_owner(AT_FDCWD, a[0], a[1], a[2]);
    case SYS_utime: return change_times(AT_FDCWD, a[0], a[1], 1, true);
    case SYS_utimes: return change_times(AT_FDCWD, a[0], a[1], 1000, false);
    case SYS_futimesat: return change_times(AT(0), a[1], a[2], 1000, false);
#endif
    default: return -EACCES; /* Extended attributes; and where the filter and this disagree. */
    }
#undef AT
}

void broker_answer(void) {
    memset(asked, 0, sizes.seccomp_notif);
    if (ioctl(notifications, SECCOMP_IOCTL_NOTIF_RECV, asked)) return; /* It is gone, or a signal came. */
    int result = decide(&asked->data);
    if (result == SENT) return;
    memset(answer, 0, sizes.seccomp_notif_resp);
    answer->id = asked->id;
    if (result == GO_ON) answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else answer->error = result;
    if (ioctl(notifications, SECCOMP_IOCTL_NOTIF_SEND, answer)) { /* Whoever asked is gone. */ }
}
