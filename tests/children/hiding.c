/* Makes itself unreadable, then opens argv[1]. */
#include <fcntl.h>
#include <sys/prctl.h>

int main(int argc, char **argv) {
    if (argc < 2 || prctl(PR_SET_DUMPABLE, 0)) return 2;
    return open(argv[1], O_RDONLY) < 0;
}
