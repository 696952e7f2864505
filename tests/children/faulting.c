/* Passes paths that end at the end of a page, begin nowhere, or have no end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
    long page = sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *edge = map + 2 * page;

    munmap(edge, page);
    strcpy(edge - 14, "/etc/hostname");
    if (open(edge - 14, O_RDONLY) < 0) return 1;
    memset(edge - 100, 'x', 100);
    printf("%d", open(edge - 100, O_RDONLY) < 0 ? errno : 0);
    printf(" %d", open((char *)1, O_RDONLY) < 0 ? errno : 0);
    memset(map, '/', page + 200);
    strcpy(map + page + 186, "/etc/hostname");
    printf(" %d", open(map, O_RDONLY) < 0 ? errno : 0); /* longer than PATH_MAX */
    printf(" %d", open(map + page, O_RDONLY) < 0 ? errno : 0);
    printf(" %d\n", open("", O_RDONLY) < 0 ? errno : 0);
    return 0;
}
