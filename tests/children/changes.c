/* Changes the file system in every way that there is a call for, in the directory argv[1]. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define TRY(number, ...)                                   \
    do {                                                   \
        if (syscall(number, __VA_ARGS__) == -1) {          \
            fprintf(stderr, "%s: ", #number), perror(""); \
            return 1;                                      \
        }                                                  \
    } while (0)

int main(int argc, char **argv) {
    struct open_how how = {.flags = O_RDWR | O_CREAT, .mode = 0600};
    struct timespec times[2] = {{1, 0}, {2, 0}};
    struct timeval old_times[2] = {{1, 0}, {2, 0}};
    int directory, file;

    if (argc < 2 || chdir(argv[1])) return 2;
    directory = open(".", O_RDONLY | O_DIRECTORY);
#ifdef SYS_open
    TRY(SYS_open, "by-open", O_WRONLY | O_CREAT, 0600);
    TRY(SYS_creat, "by-creat", 0600);
    TRY(SYS_mkdir, "by-mkdir", 0700);
    TRY(SYS_rename, "by-open", "by-rename");
    TRY(SYS_link, "by-rename", "by-link");
    TRY(SYS_symlink, "any text", "by-symlink");
    TRY(SYS_mknod, "by-mknod", S_IFIFO | 0600, 0);
    TRY(SYS_chmod, "by-link", 0640);
    TRY(SYS_lchown, "by-symlink", getuid(), getgid());
    TRY(SYS_chown, "by-link", getuid(), getgid());
    TRY(SYS_utimes, "by-link", old_times);
    TRY(SYS_unlink, "by-link");
    TRY(SYS_rmdir, "by-mkdir");
#endif
    TRY(SYS_openat, directory, "by-openat", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    TRY(SYS_openat2, directory, "by-openat2", &how, sizeof how);
    TRY(SYS_openat, directory, ".", O_RDWR | O_TMPFILE, 0600);
    TRY(SYS_openat, AT_FDCWD, "by-openat", O_PATH);
    TRY(SYS_openat, AT_FDCWD, "by-openat", O_RDONLY | O_TRUNC);
    TRY(SYS_mkdirat, directory, "by-mkdirat", 0700);
    TRY(SYS_renameat2, directory, "by-openat", AT_FDCWD, "by-mkdirat/by-renameat2", 0);
    TRY(SYS_linkat, directory, "by-mkdirat/by-renameat2", AT_FDCWD, "by-linkat", 0);
    TRY(SYS_symlinkat, "by-linkat", directory, "by-symlinkat");
    TRY(SYS_mknodat, directory, "by-mknodat", S_IFIFO | 0600, 0);
    TRY(SYS_truncate, "by-symlinkat", 3L);
    TRY(SYS_fchmodat, directory, "by-symlinkat", 0640);
    TRY(SYS_fchownat, directory, "by-symlinkat", getuid(), getgid(), AT_SYMLINK_NOFOLLOW);
    TRY(SYS_fchownat, directory, "by-symlinkat", getuid(), getgid(), 0);
    TRY(SYS_utimensat, directory, "by-linkat", times, 0);
    file = open("by-linkat", O_RDWR);
    TRY(SYS_utimensat, file, NULL, times, 0);
    TRY(SYS_fchmod, file, 0600);
    TRY(SYS_fchown, file, getuid(), getgid());
    TRY(SYS_unlinkat, directory, "by-symlinkat", 0);
    TRY(SYS_unlinkat, directory, "by-mknodat", 0);
    return 0;
}
