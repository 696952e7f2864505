/* Stands in place of a host of macros: does what it reads from descriptor 3, a line each, and answers with a line:
 * an error number, 0 for success, and what came of it.
 *
 * `obeying_host LIBRARY`; with a library that can be loaded, it is loaded first.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char result[1 << 12];

static int take(int fd)
{
    if (fd < 0)
        return errno;
    ssize_t size = read(fd, result, sizeof result - 1);
    int code = size < 0 ? errno : 0;
    result[size < 0 ? 0 : size] = 0;
    close(fd);
    return code;
}

static int make(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    return fd < 0 ? errno : close(fd);
}

static int connect_to(const void *address, socklen_t size, int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return errno;
    int code = connect(fd, address, size) ? errno : 0;
    close(fd);
    return code;
}

static int run(char *path)
{
    int ends[2], status;
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    pid_t pid = fork();
    if (!pid) {
        char *words[] = {path, "--version", NULL};
        dup2(ends[1], 1);
        execv(path, words);
        _exit(100 + errno);
    }
    close(ends[1]);
    take(ends[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) >= 100 ? WEXITSTATUS(status) - 100 : 0;
}

static int leave_running(void)
{
    pid_t pid = fork();
    if (!pid) {
        setsid();
        for (;;)
            pause();
    }
    snprintf(result, sizeof result, "%d", pid);
    return 0;
}

static int code_of_thread;

static void *read_it(void *path)
{
    code_of_thread = take(open(path, O_RDONLY));
    return NULL;
}

static void *list_it(const char *path)
{
    DIR *folder = opendir(path);
    code_of_thread = folder ? 0 : errno;
    if (folder)
        closedir(folder);
    return NULL;
}

static int obey(const char *verb, char *argument)
{
    if (!strcmp(verb, "read"))
        return take(open(argument, O_RDONLY));
    if (!strcmp(verb, "open"))
        return open(argument, O_RDONLY) < 0 ? errno : 0;
    if (!strcmp(verb, "list")) {
        list_it(argument);
        return code_of_thread;
    }
    if (!strcmp(verb, "write"))
        return make(argument);
    if (!strcmp(verb, "remove"))
        return unlink(argument) ? errno : 0;
    if (!strcmp(verb, "link")) {
        char *other = strchr(argument, ' ');
        *other++ = 0;
        return link(argument, other) ? errno : 0;
    }
    if (!strcmp(verb, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, read_it, argument);
        pthread_join(thread, NULL);
        return code_of_thread;
    }
    if (!strcmp(verb, "straight")) { /* The kernel calls the library's own function. */
        pthread_t thread;
        pthread_create(&thread, NULL, (void *(*)(void *))list_it, argument);
        pthread_join(thread, NULL);
        return code_of_thread;
    }
    if (!strcmp(verb, "environment")) {
        const char *value = getenv(argument);
        snprintf(result, sizeof result, "%s", value ? value : "");
        return value ? 0 : ENOENT;
    }
    if (!strcmp(verb, "execute"))
        return run(argument);
    if (!strcmp(verb, "connect")) {
        struct sockaddr_in address = {AF_INET, htons(atoi(argument)), {htonl(INADDR_LOOPBACK)}, {0}};
        return connect_to(&address, sizeof address, AF_INET);
    }
    if (!strcmp(verb, "unix")) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", argument);
        return connect_to(&address, sizeof address, AF_UNIX);
    }
    if (!strcmp(verb, "signal"))
        return kill(atoi(argument), 0) ? errno : 0;
    if (!strcmp(verb, "trace"))
        return ptrace(PTRACE_SEIZE, atoi(argument), 0, 0) ? errno : 0;
    if (!strcmp(verb, "memory")) {
        struct iovec own = {result, 1}, other = {NULL, 1};
        return process_vm_readv(atoi(argument), &own, 1, &other, 1, 0) < 0 && errno != EFAULT ? errno : 0;
    }
    if (!strcmp(verb, "print"))
        return printf("%s\n", argument) < 0;
    if (!strcmp(verb, "print-unended"))
        return printf("%s", argument) < 0;
    if (!strcmp(verb, "warn"))
        return fprintf(stderr, "%s\n", argument) < 0;
    if (!strcmp(verb, "folder")) {
        snprintf(result, sizeof result, "%s", getcwd(argument, 1 << 12));
        return 0;
    }
    if (!strcmp(verb, "descriptors")) {
        for (int fd = 0; fd < 1024; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                snprintf(result + strlen(result), 8, "%d ", fd);
        return 0;
    }
    if (!strcmp(verb, "load")) {
        void *library = dlopen(argument, RTLD_NOW);
        snprintf(result, sizeof result, "%s", library ? "" : dlerror());
        return library ? 0 : 1;
    }
    if (!strcmp(verb, "daemon"))
        return leave_running();
    if (!strcmp(verb, "spin"))
        for (;;)
            ;
    if (!strcmp(verb, "sleep"))
        return sleep(atoi(argument));
    if (!strcmp(verb, "grow")) {
        size_t size = (size_t)atoi(argument) << 20;
        volatile char *grown = malloc(size);
        for (size_t at = 0; at < size; at += 4096)
            grown[at] = 1;
        return 0;
    }
    if (!strcmp(verb, "fork")) {
        for (int left = atoi(argument); left; left--)
            leave_running();
        return 0;
    }
    if (!strcmp(verb, "crash"))
        abort();
    return ENOSYS;
}

int main(void)
{
    static char line[1 << 13];
    FILE *from = fdopen(3, "r");
    fcntl(3, F_SETFD, FD_CLOEXEC);
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = 0;
        char *argument = strchr(line, ' ');
        if (argument)
            *argument++ = 0;
        result[0] = 0;
        int code = obey(line, argument ? argument : line + strlen(line));
        fflush(stdout);
        result[strcspn(result, "\n")] = 0;
        dprintf(3, "%d %s\n", code, result);
    }
    return 0;
}
