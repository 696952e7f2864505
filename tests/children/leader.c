/* A thread that is not the leader executes argv[1] while the other threads open files or sleep. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static char **command;

static void *busy(void *unused) {
    for (;;) close(open("/etc/hostname", O_RDONLY));
    return unused;
}

static void *executing(void *unused) {
    usleep(20000);
    execv(command[0], command);
    _exit(9);
    return unused;
}

int main(int argc, char **argv) {
    pthread_t thread;

    if (argc < 2) return 2;
    command = argv + 1;
    pthread_create(&thread, NULL, busy, NULL);
    pthread_create(&thread, NULL, busy, NULL);
    pthread_create(&thread, NULL, executing, NULL);
    pthread_exit(NULL); /* the leader may even have ended */
}
