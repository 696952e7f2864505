/* Connects to what $CARGO_MANIFEST_DIR/connecting says: a mode, two ports, how often.
 *
 * flip: a thread changes the port between the two while others connect.
 * swap: a thread changes what the descriptor is while others connect.
 * wait: signals come while a connection is waited for; the registers of the call are compared. Each
 *       adds to $OUT_DIR/alarms.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static volatile struct sockaddr_in address;
static volatile int done, descriptor = 100;
static volatile unsigned long flips, alarms;
static int first, second;

static void *flip(void *unused)
{
    for (; !done; flips++)
        address.sin_port = htons(flips & 1 ? first : second);
    return unused;
}

static void *swap(void *unused)
{
    int kinds[256]; /* made beforehand: dup2 is not recorded, and fast */
    for (int n = 0; n < 256; n++)
        kinds[n] = n % 4 == 0 ? socket(AF_UNIX, SOCK_STREAM, 0)
                   : n % 4 == 1 ? open("/dev/null", O_RDWR)
                                : socket(AF_INET, SOCK_STREAM, 0);
    for (; !done; flips++)
        dup2(kinds[flips & 255], descriptor);
    return unused;
}

static int told;

static void alarmed(int number)
{
    (void)number;
    alarms++;
    if (write(told, "!", 1) != 1)
        _exit(3);
}

static long raw_connect(long fd, const volatile void *where, long size)
{
#if defined(__x86_64__)
    long result;
    register long r10 asm("r10") = 0x1010, r8 asm("r8") = 0x808, r9 asm("r9") = 0x909;
    long rdi = fd, rsi = (long)where, rdx = size;
    asm volatile("syscall"
                 : "=a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                 : "0"(SYS_connect)
                 : "rcx", "r11", "memory");
    if (rdi != fd || rsi != (long)where || rdx != size || r10 != 0x1010 || r8 != 0x808 ||
        r9 != 0x909)
        puts("registers have changed");
    return result;
#else
    return syscall(SYS_connect, fd, where, size) < 0 ? -errno : 0;
#endif
}

int main(void)
{
    char path[4096], mode[16];
    long wanted, made = 0, refused = 0, other = 0, elsewhere = 0;
    pthread_t thread;
    snprintf(path, sizeof path, "%s/connecting", getenv("CARGO_MANIFEST_DIR"));
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%15s %d %d %ld", mode, &first, &second, &wanted) != 4)
        return 2;
    if (!first) /* the door */
        first = atoi(strrchr(getenv("http_proxy"), ':') + 1);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(first);
    if (!strcmp(mode, "wait") || !strcmp(mode, "interrupt")) {
        char count[4096];
        snprintf(count, sizeof count, "%s/alarms", getenv("OUT_DIR"));
        told = creat(count, 0600);
        struct sigaction action = {.sa_handler = alarmed};
        struct itimerval every = {{0, 50000}, {0, 50000}};
        action.sa_flags = mode[0] == 'w' ? SA_RESTART : 0;
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        long result = raw_connect(fd, &address, sizeof address);
        printf("%ld %d\n", result, alarms > 0);
        return 0;
    }
    pthread_create(&thread, NULL, mode[0] == 'f' ? flip : swap, NULL);
    for (long times = 0; times < 1000000 && (flips < (unsigned long)wanted || times < 2000); times++) {
        int fd = descriptor;
        if (mode[0] == 'f')
            fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            struct sockaddr_in peer;
            socklen_t size = sizeof peer;
            made++;
            if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
                (peer.sin_family != AF_INET || ntohs(peer.sin_port) != first))
                elsewhere++;
        } else if (errno == EACCES)
            refused++;
        else
            other++;
        if (mode[0] == 'f')
            close(fd);
    }
    done = 1;
    pthread_join(thread, NULL);
    printf("%lu %ld %ld %ld %ld\n", flips, made, refused, other, elsewhere);
    return 0;
}
