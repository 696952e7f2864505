/* A static program whose getenv begins with an instruction that has to be stepped over. */
#include <pthread.h>
#include <stdio.h>

__attribute__((naked, noinline, visibility("default"))) char *getenv(const char *name);

#ifdef __x86_64__
__asm__(".globl getenv\n.type getenv, @function\ngetenv: xorl %eax, %eax\nret\n"
        ".size getenv, . - getenv\n");
#else
__asm__(".globl getenv\n.type getenv, @function\ngetenv: mov x0, #0\nret\n"
        ".size getenv, . - getenv\n");
#endif

static void *asking(void *number) {
    char name[64];

    for (int at = 0; at < 50; at++) {
        snprintf(name, sizeof name, "STEP_%d", 50 * (int)(long)number + at);
        if (getenv(name)) return number;
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];

    asking((void *)0);
    for (long at = 1; at < 4; at++) pthread_create(&threads[at], NULL, asking, (void *)at);
    for (int at = 1; at < 4; at++) pthread_join(threads[at], NULL);
    return 0;
}
