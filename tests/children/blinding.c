/* Tries what would blind a recorder; prints the name of each attempt and its errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long result) {
    fprintf(stderr, "%s %d\n", name, result < 0 ? errno : 0);
}

static long child_by(unsigned long flags) {
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, 0, __WALL);
    return child;
}

int main(int count, char **arguments) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {1, code};

    tell("untraced", child_by(0x00800000));
    tell("traced-by-us", child_by(0x00002000));
    tell("dumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    tell("ptracer", prctl(PR_SET_PTRACER, -1, 0, 0, 0));
    tell("mm", prctl(PR_SET_MM, 13, 0, 0, 0));
    tell("by-prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0));
    tell("filter", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter));
    tell("listener", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                             SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
    tell("asking", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                           SECCOMP_FILTER_FLAG_NEW_LISTENER, 0));
#ifdef __x86_64__
    long result = 20; /* getpid */
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    errno = -(int)result;
    tell("int-80", (int)result);
    tell("x32", syscall(0x40000000 | SYS_getpid));
#endif
    /* The recorder still knows what it sees. */
    if (count > 1)
        tell("open", open(arguments[1], 0));
    return 0;
}
