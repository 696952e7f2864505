/* Uses sockets in each way that leaves the process tree; prints the errno of each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *what, long result) {
    printf("%s %d\n", what, result < 0 ? errno : 0);
}

int main(void) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 inet6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = "relative\nsocket"};
    struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0secret\0x"};
    struct msghdr message = {.msg_name = &inet, .msg_namelen = sizeof inet};
    int stream, datagram, stream6, local;

    inet_pton(AF_INET, "127.0.0.1", &inet.sin_addr);
    inet_pton(AF_INET6, "::1", &inet6.sin6_addr);
    stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stream6 = socket(AF_INET6, SOCK_STREAM, 0);
    datagram = socket(AF_INET, SOCK_DGRAM, 0);
    local = socket(AF_UNIX, SOCK_STREAM, 0);
    tell("connect", connect(stream, (void *)&inet, sizeof inet));
    tell("connect6", connect(stream6, (void *)&inet6, sizeof inet6));
    tell("named", connect(local, (void *)&named, sizeof named));
    tell("hidden", connect(local, (void *)&hidden, offsetof(struct sockaddr_un, sun_path) + 9));
    tell("wild", connect(stream, (void *)1, sizeof inet));
    tell("bind", bind(stream, (void *)&inet, sizeof inet));
    tell("sendto", sendto(datagram, "x", 1, 0, (void *)&inet, sizeof inet));
    tell("sendmsg", sendmsg(datagram, &message, 0));
    tell("send", send(datagram, "x", 1, 0));
    return 0;
}
