/* Namespaces in which only what is granted exists. It takes the same words as bubblewrap, does the same in the same
 * order, and leaves the same behind; but each mount is one of the kernel's mount objects, so that it is made with its
 * attributes in one step, where bubblewrap reads the list of all mounts after each one.
 *
 *     starter, outside        waits, and ends with what is inside
 *      └ 1, inside            makes the mounts, gives everything up, and reaps whatever ends
 *         └ 2, inside         returns from `room_enter`
 *
 * No path is followed through a link: a script that runs at the same time may have made it. */
#define BARE_PART
#include "bare.h"
#include "room.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

/* include/uapi/linux/mount.h, openat2.h; older headers lack some. The numbers are the same on every architecture. */
enum {
    OPEN_TREE = 428, MOVE_MOUNT = 429, FSOPEN = 430, FSCONFIG = 431, FSMOUNT = 432, OPENAT2 = 437, MOUNT_SETATTR = 442,
    CLOSE_RANGE = 436,
    CLONE_TREE = 1, RECURSIVE = 0x8000, EMPTY_PATH = 0x1000, NO_LINKS = 0x04, FROM_EMPTY = 0x04, TO_EMPTY = 0x40,
    SET_STRING = 1, CREATE = 6, RDONLY = 1, NOSUID = 2, NODEV = 4, NOEXEC = 8,
    PATH_MOST = 4096, FAILED = 127, SHOWN = 1,
};
struct how { uint64_t flags, mode, resolve; };
struct attributes { uint64_t set, clear, propagation, userns; };

static long before = -1, inside = -1; /* The roots: the machine's, and the one that is being made. */
static long user, group;
static const char *mode = "0755"; /* Of the next empty folder. */

/* Opens `path` below a root; -errno if it is not there, or led to by a link. */
static long place(long root, const char *path) {
    const struct how how = {.flags = O_PATH | O_CLOEXEC, .resolve = NO_LINKS};
    while (*path == '/') path++;
    if (!*path) path = ".";
    return CALL(OPENAT2, root, path, &how, sizeof how, 0, 0);
}

static int is_folder(long descriptor) {
    struct stat found;
    checked("look at a path", CALL(SYS_newfstatat, descriptor, "", &found, EMPTY_PATH, 0, 0));
    return S_ISDIR(found.st_mode);
}

static void shut(long descriptor) { CALL3(SYS_close, descriptor, 0, 0); }

/* Opens the folder of `path`, made with those above it if it is not there; `name` is what is left of the path. Part by
 * part: a link on the way could lead to the machine's root, which lies in here until all is made. */
static long folder_of(const char *path, const char **name) {
    char part[PATH_MOST];
    size_t end = 0;
    if (length(path) >= sizeof part) fail("make a folder", -36); /* ENAMETOOLONG */
    *name = path;
    for (const char *at = path; *at; at++)
        if (*at == '/') *name = at + 1;
    for (; path + end < *name; end++) part[end] = path[end];
    part[end] = 0;
    long folder = place(inside, part);
    if (folder >= 0) return folder;
    folder = checked("open the root", place(inside, "/"));
    while (path < *name) {
        for (end = 0; path[end] != '/'; end++) part[end] = path[end];
        part[end] = 0;
        path += end + 1;
        if (!end) continue;
        long made = CALL3(SYS_mkdirat, folder, part, 0755);
        if (made < 0 && made != -17 && made != -30) fail("make a folder", made); /* EEXIST, EROFS: it is there. */
        long next = checked("make a folder", place(folder, part));
        shut(folder);
        folder = next;
    }
    return folder;
}

/* Opens where something is to be mounted, and makes it if it is not there. */
static long target(const char *path, int wants_folder) {
    const char *name;
    long found = place(inside, path);
    if (found >= 0) return found;
    long folder = folder_of(path, &name);
    if (wants_folder) CALL3(SYS_mkdirat, folder, name, 0755);
    else {
        long made = CALL(SYS_openat, folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444, 0, 0);
        if (made >= 0) shut(made);
    }
    found = checked("make a place for a mount", place(folder, name));
    shut(folder);
    return found;
}

static void attach(long tree, const char *path, int wants_folder) {
    long at = target(path, wants_folder);
    checked("mount", CALL(MOVE_MOUNT, tree, "", at, "", FROM_EMPTY | TO_EMPTY, 0));
    shut(at);
    shut(tree);
}

/* Shows what is at `from`, with all that is mounted below; nothing if there is nothing. */
static int show(long root, const char *from, const char *path, uint64_t set) {
    long source = place(root, from);
    if (source < 0) return !SHOWN;
    int folder = is_folder(source);
    long tree = checked("copy a mount", CALL3(OPEN_TREE, source, "", CLONE_TREE | RECURSIVE | EMPTY_PATH | O_CLOEXEC));
    shut(source);
    const struct attributes wanted = {.set = set};
    checked("set what a mount allows",
            CALL(MOUNT_SETATTR, tree, "", EMPTY_PATH | RECURSIVE, &wanted, sizeof wanted, 0));
    attach(tree, path, folder);
    return SHOWN;
}

static long made_of(const char *kind, uint64_t set) {
    long context = checked("make a file system", CALL3(FSOPEN, kind, 1, 0)); /* FSOPEN_CLOEXEC */
    if (kind[0] == 't') checked("make a file system", CALL(FSCONFIG, context, SET_STRING, "mode", mode, 0, 0));
    checked("make a file system", CALL(FSCONFIG, context, CREATE, NULL, NULL, 0, 0));
    long tree = checked("make a file system", CALL3(FSMOUNT, context, 1, set)); /* FSMOUNT_CLOEXEC */
    shut(context);
    return tree;
}

/* What in /proc changes the machine is for reading only, whoever this is. Before, no more users are allowed here. */
static void show_proc(const char *path) {
    static const char *const changing[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", NULL};
    attach(made_of("proc", NOSUID | NODEV | NOEXEC), path, 1);
    long most = CALL(SYS_openat, inside, "proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC, 0, 0, 0);
    checked("allow no more user namespaces", most);
    if (CALL3(SYS_write, most, "1", 1) != 1) fail("allow no more user namespaces", -1);
    shut(most);
    for (const char *const *each = changing; *each; each++) show(inside, *each, *each, RDONLY | NOSUID | NODEV | NOEXEC);
}

static void write_map(const char *path, long id) {
    char text[48];
    size_t at = 0;
    for (int column = 0; column < 2; column++) {
        char digits[20];
        size_t count = 0;
        unsigned long left = (unsigned long)id;
        do digits[count++] = (char)('0' + left % 10);
        while ((left /= 10));
        while (count) text[at++] = digits[--count];
        text[at++] = ' ';
    }
    text[at++] = '1';
    long file = checked("map a user", CALL(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0, 0, 0));
    checked("map a user", CALL3(SYS_write, file, text, at));
    shut(file);
}

/* The same user and group as outside, and no others: user_namespaces(7). */
static void map_user(void) {
    long file = CALL(SYS_openat, AT_FDCWD, "/proc/self/setgroups", O_WRONLY | O_CLOEXEC, 0, 0, 0);
    if (file >= 0) {
        CALL3(SYS_write, file, "deny", 4);
        shut(file);
    }
    write_map("/proc/self/uid_map", user);
    write_map("/proc/self/gid_map", group);
}

static void bring_loopback_up(void) {
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    long handle = checked("set up the loopback device", CALL3(SYS_socket, 2, 2 | O_CLOEXEC, 0)); /* AF_INET, datagrams */
    checked("set up the loopback device", CALL3(SYS_ioctl, handle, 0x8914, &lo)); /* SIOCSIFFLAGS */
    shut(handle);
}

/* Of a name at the end of a mount's path, or what makes one: each takes so many words. */
static const char **follow(const char **words) {
    const char *word = words[0], *path = words[1];
    int is_own = after(word, "--bind-try") != NULL;
    if (is_own || after(word, "--ro-bind") || after(word, "--dev-bind-try")) {
        uint64_t set = NOSUID | (after(word, "--dev") ? 0 : NODEV) | (after(word, "--ro") ? RDONLY : 0);
        int is_shown = show(before, path, words[2], set);
        if (!is_shown && !after(word, "--ro-bind-try") && !is_own && !after(word, "--dev")) fail("find a path", -2);
        return words + 3;
    }
    if (after(word, "--symlink")) {
        const char *name;
        long folder = folder_of(words[2], &name);
        checked("make a link", CALL3(SYS_symlinkat, path, folder, name));
        shut(folder);
        return words + 3;
    }
    if (after(word, "--perms")) {
        mode = path;
        return words + 2;
    }
    if (after(word, "--tmpfs")) {
        attach(made_of("tmpfs", NOSUID | NODEV), path, 1);
        mode = "0755";
    } else if (after(word, "--proc")) show_proc(path);
    else if (after(word, "--dir")) shut(target(path, 1));
    else if (after(word, "--remount-ro")) {
        const struct attributes wanted = {.set = RDONLY};
        checked("close the root", CALL(MOUNT_SETATTR, inside, "", EMPTY_PATH, &wanted, sizeof wanted, 0));
    } else fail("understand a word", -22); /* EINVAL */
    return words + 2;
}

static void make_root(const char **words, const char **end) {
    checked("mount", CALL(SYS_mount, NULL, "/", NULL, MS_SILENT | MS_SLAVE | MS_REC, 0, 0));
    before = checked("open the root", CALL(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0, 0, 0));
    /* It has to be somewhere, and covers that only until it is the root itself. */
    checked("mount", CALL(MOVE_MOUNT, made_of("tmpfs", NOSUID | NODEV), "", AT_FDCWD, "/tmp", FROM_EMPTY, 0));
    checked("open the root", CALL3(SYS_chdir, "/tmp", 0, 0));
    checked("open the root", CALL3(SYS_mkdirat, AT_FDCWD, "before", 0755));
    checked("change the root", CALL3(SYS_pivot_root, ".", "before", 0));
    checked("open the root", CALL3(SYS_chdir, "/", 0, 0));
    inside = checked("open the root", CALL(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0, 0, 0));
    const char *last[] = {"--remount-ro", "/"};
    while (words < end) words = follow(words);
    checked("leave the machine's root", CALL3(SYS_umount2, "before", MNT_DETACH, 0));
    checked("leave the machine's root", CALL3(SYS_unlinkat, inside, "before", AT_REMOVEDIR));
    follow(last);
    shut(before);
    shut(inside);
}

/* With a user namespace around it, in which there can be no other, and no capability at all. */
static void give_up(void) {
    checked("make a user namespace", CALL3(SYS_unshare, CLONE_NEWUSER, 0, 0));
    map_user();
    for (long each = 0; each < 64; each++)
        if (CALL(SYS_prctl, PR_CAPBSET_DROP, each, 0, 0, 0, 0) < 0) break;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}, {0}};
    checked("give up capabilities", CALL3(SYS_capset, &header, none, 0));
    if (CALL3(SYS_unshare, CLONE_NEWUSER, 0, 0) >= 0) fail("allow no more user namespaces", -1);
}

/* Waits for `child`, reaps what else ends, and ends as it has; what a script prints is not held open here. */
_Noreturn static void wait_for(long child) {
    CALL3(CLOSE_RANGE, 0, 0x7FFFFFFF, 0);
    for (;;) {
        int status = 0;
        long ended = CALL(SYS_wait4, -1, &status, 0, NULL, 0, 0);
        if (ended == child) leave(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        if (ended < 0 && ended != -4) leave(FAILED); /* EINTR */
    }
}

static void end_with_parent(void) {
    checked("end with the parent", CALL(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0));
}

void room_enter(const char **words) {
    const char **first, **end = words, *folder = "/";
    long spaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
    for (; *words && !after(*words, "--proc"); words++) /* Those before are the same for every script. */
        if (after(*words, "--share-net")) spaces &= ~CLONE_NEWNET;
    first = words;
    for (end = words; *end && !after(*end, "--remount-ro"); end++) continue;
    if (!*first || !*end || !end[1] || !end[2] || !end[3] || !after(end[2], "--chdir")) fail("understand a word", -22);
    folder = end[3];
    user = CALL3(SYS_geteuid, 0, 0, 0);
    group = CALL3(SYS_getegid, 0, 0, 0);
    long mask = CALL3(SYS_umask, 0, 0, 0);
    long child = checked("make namespaces", CALL(SYS_clone, spaces | SIGCHLD, 0, 0, 0, 0, 0));
    if (child) wait_for(child);
    map_user();
    if (spaces & CLONE_NEWNET) bring_loopback_up();
    make_root(first, end);
    give_up();
    CALL3(SYS_umask, mask, 0, 0);
    checked("enter the folder", CALL3(SYS_chdir, folder, 0, 0));
    end_with_parent();
    CALL3(SYS_setsid, 0, 0, 0);
    child = checked("fork", CALL(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0));
    if (child) wait_for(child);
    end_with_parent();
}
