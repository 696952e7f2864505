/* A build script that tries to open what it may not read by the folders of light observation, so that nobody sees it.
   Prints a line for each attempt: its name, and what came of it. With an argument it is its own child. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FIRST = 4000, PAGE = 0x10000, SIZE = 4096, HOW = 24 };
static unsigned char *const page = (unsigned char *)PAGE;

static void told(const char *name, long result) {
    fprintf(stderr, "%s: %s\n", name, result >= 0 ? "done" : strerrorname_np(errno));
}

static long by_folder(int folder, const char *path) { return syscall(SYS_openat2, folder, path, page, HOW); }

static void child(const char *secret) {
    struct open_how how = {.flags = O_RDONLY};
    told("child has a folder", fcntl(FIRST, F_GETFD));
    told("child asks for the page", mmap(page, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == page ? 0 : -1);
    told("child maps the page",
         mmap(page, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    int any = open(".", O_PATH | O_DIRECTORY);
    told("child makes a folder", dup2(any, FIRST));
    told("child opens by folder", by_folder(FIRST, secret));
    told("child opens by own how", syscall(SYS_openat2, FIRST, secret, &how, sizeof how));
}

int main(int count, char **arguments) {
    const char *secret = SECRET;
    if (count > 1) return child(secret), 0;
    unsigned char before[SIZE];
    memcpy(before, page, SIZE);
    told("up", by_folder(FIRST, UPWARDS));
    told("absolute", by_folder(FIRST, secret));
    told("link", by_folder(FIRST, "out.txt"));
    told("relative link", by_folder(FIRST, "up.txt"));
    told("folder behind a link", by_folder(FIRST, "home/secret.txt"));
    told("magic link", by_folder(FIRST, "/proc/self/root/etc/passwd"));
    told("another folder", by_folder(AT_FDCWD, "in.txt") < 0 ? -1 : 0);
    told("inside", by_folder(FIRST, "in.txt"));

    void *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    told("unmap", munmap(page, SIZE));
    told("unmap from 0", munmap(NULL, 2 * PAGE));
    told("unmap from below", munmap(page - SIZE, 4 * SIZE));
    told("protect", mprotect(page, SIZE, PROT_READ | PROT_WRITE));
    told("protect with key", syscall(SYS_pkey_mprotect, page, SIZE, PROT_READ | PROT_WRITE, -1));
    told("protect from below", mprotect(NULL, 2 * PAGE, PROT_READ | PROT_WRITE));
    told("map", mmap(page, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    told("map from 0",
         mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    told("map growing",
         mmap(page, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) == MAP_FAILED ? -1 : 0);
    told("move away", mremap(page, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == MAP_FAILED ? -1 : 0);
    told("move there", mremap(other, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page) == MAP_FAILED ? -1 : 0);
    told("forget", madvise(page, SIZE, MADV_DONTNEED));
    told("forget from 0", madvise(NULL, 2 * PAGE, MADV_DONTNEED));
    told("not for forks", madvise(page, SIZE, MADV_DONTFORK));
    told("zeros for forks", madvise(page, SIZE, MADV_WIPEONFORK));
    told("order pages", syscall(SYS_remap_file_pages, page, SIZE, 0, 0, 0));
    told("move program", syscall(SYS_prctl, 35, 1, PAGE, 0, 0));
    told("shared memory", (long)syscall(SYS_shmat, 0, page, 040000) < 0 ? -1 : 0);
    struct iovec from = {before, SIZE}, to = {page, SIZE};
    told("write to a process", syscall(SYS_process_vm_writev, getpid(), &from, 1, &to, 1, 0));
    told("memory", open("/proc/self/mem", O_RDWR));
    int in = open("in.txt", O_RDONLY);
    told("read into", read(in, page, 4));
    told("unchanged", memcmp(before, page, SIZE) ? (errno = EINVAL, -1) : 0);

    struct rlimit limit = {FIRST + 16, FIRST + 16};
    told("raise limit", setrlimit(RLIMIT_NOFILE, &limit));
    told("keep", fcntl(FIRST, F_SETFD, 0));
    told("keep by device", ioctl(FIRST, FIONCLEX));
    told("own how", syscall(SYS_openat2, FIRST, secret, &(struct open_how){.flags = O_RDONLY}, sizeof(struct open_how)));
    told("close", close(FIRST));
    int folder = open("..", O_PATH | O_DIRECTORY);
    told("in its place", dup2(folder, FIRST));
    told("in its place, for now", dup3(folder, FIRST, O_CLOEXEC));
    told("in its place by number", fcntl(folder, F_DUPFD, FIRST));
    int last = folder, next;
    while ((next = dup(folder)) >= 0) last = next > last ? next : last;
    fprintf(stderr, "furthest: %s\n", last < FIRST ? "below" : "there");
    for (int i = folder + 1; i <= last; i++) close(i);
    told("closed", by_folder(FIRST, UPWARDS));
    execl("/proc/self/exe", arguments[0], "child", NULL);
    execl(arguments[0], arguments[0], "child", NULL);
    told("child", -1);
    return 1;
}
