/* A library with one macro, which does what its input says, and answers with an error number, 0 for success.
 *
 * Its constructor does what CONSTRUCTOR says, if that is defined.
 */
#define _GNU_SOURCE
#include "bridge.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Signals that end a storm of them: where each takes longer than its timer, nothing else would happen. */
#define STORM 600

static volatile sig_atomic_t alarms;
static timer_t timers[2];
static const char *wanted;
static volatile int found;

static int try_open(const char *path)
{
    int file = open(path, O_RDONLY);
    if (file < 0)
        return errno;
    close(file);
    return 0;
}

static void *in_thread(void *path)
{
    found = try_open(path);
    return 0;
}

static int in_clone(void *path)
{
    found = try_open(path);
    _exit(0);
}

static void set_timers(long alarm_us, long continue_us, long user_us)
{
    setitimer(ITIMER_REAL, &(struct itimerval){{0, alarm_us}, {0, alarm_us}}, 0);
    timer_settime(timers[0], 0, &(struct itimerspec){{0, continue_us * 1000}, {0, continue_us * 1000}}, 0);
    timer_settime(timers[1], 0, &(struct itimerspec){{0, user_us * 1000}, {0, user_us * 1000}}, 0);
}

static void count(int number)
{
    (void)number;
    if (++alarms == STORM)
        set_timers(0, 0, 0);
}

static void open_there(int number)
{
    (void)number;
    int before = errno;
    found = try_open(wanted);
    errno = before;
}

static int status_of(pid_t pid)
{
    int status = 0;
    if (pid < 0)
        return errno;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR) {}
}

static int obey(char *verb)
{
    char *argument = strchr(verb, ' ');
    if (argument)
        *argument++ = 0;
    if (!strcmp(verb, "nothing"))
        return 0;
    if (!strcmp(verb, "open"))
        return try_open(argument);
    if (!strcmp(verb, "straight")) {
        long file = syscall(SYS_openat, AT_FDCWD, argument, O_RDONLY, 0);
        return file < 0 ? errno : close((int)file);
    }
    if (!strcmp(verb, "write")) {
        int file = open(argument, O_WRONLY | O_CREAT, 0600);
        return file < 0 ? errno : close(file);
    }
    if (!strcmp(verb, "thread")) {
        pthread_t thread;
        int failed = pthread_create(&thread, 0, in_thread, argument);
        if (failed)
            return failed;
        pthread_join(thread, 0);
        return found;
    }
    if (!strcmp(verb, "fork")) {
        pid_t pid = fork();
        if (!pid)
            _exit(try_open(argument));
        return status_of(pid);
    }
    if (!strcmp(verb, "vfork")) {
        pid_t pid = vfork();
        if (!pid)
            _exit(try_open(argument));
        return status_of(pid);
    }
    if (!strcmp(verb, "clone")) {
        static char stack[1 << 16];
        int failed = status_of(clone(in_clone, stack + sizeof stack, CLONE_VM | SIGCHLD, argument));
        return failed ? failed : found;
    }
    if (!strcmp(verb, "execute")) {
        execl(argument, argument, (char *)0);
        return errno;
    }
    if (!strcmp(verb, "ring"))
        return syscall(SYS_io_uring_setup, 8, 0) < 0 ? errno : 0;
#ifdef __x86_64__
    if (!strcmp(verb, "foreign")) { /* getpid of i386 */
        int result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
        return result < 0 ? -result : 0;
    }
    if (!strcmp(verb, "rewritten")) { /* Code that it can write to: mov $257, %eax; syscall; ret, with all arguments as given. */
        static const unsigned char code[] = {0xb8, 1, 1, 0, 0, 0x49, 0x89, 0xca, 0x0f, 5, 0xc3};
        unsigned char *at = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memcpy(at, code, sizeof code);
        long result = ((long (*)(long, const char *, long, long))at)(AT_FDCWD, argument, O_RDONLY, 0);
        int is_whole = !memcmp(at, code, sizeof code);
        return !is_whole ? 201 : result < 0 ? (int)-result : close((int)result);
    }
    if (!strcmp(verb, "registers")) { /* Whether a call leaves all of them as they were. */
        register long a __asm__("r8") = 0x1111, b __asm__("r9") = 0x2222, c __asm__("r12") = 0x3333, d __asm__("r13") = 0x4444;
        register long e __asm__("r14") = 0x5555, f __asm__("r15") = 0x6666, mode __asm__("r10") = 0;
        long result;
        __asm__ volatile("syscall"
                         : "=a"(result), "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(mode)
                         : "a"(SYS_openat), "D"(AT_FDCWD), "S"(argument), "d"(O_RDONLY)
                         : "rcx", "r11", "memory");
        if (a != 0x1111 || b != 0x2222 || c != 0x3333 || d != 0x4444 || e != 0x5555 || f != 0x6666 || mode)
            return 202;
        return result < 0 ? (int)-result : close((int)result);
    }
#endif
    if (!strcmp(verb, "handler")) { /* The first call that counts is made by a handler, within a wait. */
        wanted = argument, found = -1;
        struct sigaction action = {.sa_handler = open_there};
        sigaction(SIGALRM, &action, 0);
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 1000}}, 0);
        while (found < 0)
            sleep_ms(1);
        return found;
    }
    if (!strcmp(verb, "timers")) { /* Signals all the time, among them the one that makes a stopped process go on. */
        struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
        sigaction(SIGALRM, &action, 0);
        sigaction(SIGCONT, &action, 0);
        sigaction(SIGUSR1, &action, 0);
        timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT}, &timers[0]);
        timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1}, &timers[1]);
        set_timers(200, 100, 150);
        sleep_ms(5);
        int failed = try_open(argument);
        for (sleep_ms(20); alarms < 20;)
            sleep_ms(1);
        set_timers(0, 0, 0);
        timer_delete(timers[0]), timer_delete(timers[1]);
        return failed;
    }
    if (!strcmp(verb, "mask")) { /* Whether it still blocks what it has blocked, and nothing else. */
        sigset_t mask, now;
        sigemptyset(&mask), sigaddset(&mask, SIGUSR2);
        sigprocmask(SIG_SETMASK, &mask, 0);
        int failed = try_open(argument);
        sigprocmask(SIG_SETMASK, 0, &now);
        for (int each = 1; each < 32; each++)
            if (sigismember(&now, each) != (each == SIGUSR2))
                return 204;
        return failed;
    }
    if (!strcmp(verb, "variable"))
        return getenv(argument) ? 0 : ENOENT;
    if (!strcmp(verb, "variables")) { /* More than anybody keeps. */
        char name[64];
        for (int i = 0; i < atoi(argument); i++) {
            snprintf(name, sizeof name, "VARIABLE_OF_MANY_%032d", i);
            getenv(name);
        }
        return 0;
    }
    if (!strcmp(verb, "asking")) { /* For the same variable, without an end. */
        for (;;)
            getenv(argument);
    }
    if (!strcmp(verb, "print")) {
        printf("%s\n", argument);
        return fflush(stdout);
    }
    if (!strcmp(verb, "work")) {
        struct timespec now;
        clock_t end = clock() + atoi(argument) * (CLOCKS_PER_SEC / 1000);
        while (clock() < end)
            clock_gettime(CLOCK_MONOTONIC, &now);
        return 0;
    }
    if (!strcmp(verb, "sleep")) {
        sleep_ms(atoi(argument));
        return 0;
    }
    if (!strcmp(verb, "trap"))
        return raise(SIGTRAP);
    if (!strcmp(verb, "die"))
        return raise(atoi(argument));
    if (!strcmp(verb, "exit"))
        exit(atoi(argument));
    return 205;
}

static struct buffer run(struct config config)
{
    char verb[4096] = "";
    if (config.input.length < sizeof verb)
        memcpy(verb, config.input.data, config.input.length);
    config.input.drop(config.input);
    struct buffer b = buffer_empty();
    char text[16];
    int size = snprintf(text, sizeof text, "%d", obey(verb));
    buffer_put(&b, text, (size_t)size);
    return b;
}

static struct macro macros[] = {{.kind = KIND_BANG, .name = {"obey", 4}, .client = {.run = run}}};
__attribute__((visibility("default"))) struct declarations __rustc_proc_macro_decls_obeying = {macros, 1};

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void construct(void)
{
    char verb[] = CONSTRUCTOR;
    obey(verb);
}
#endif
