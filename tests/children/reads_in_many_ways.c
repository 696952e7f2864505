// Opens files for reading in every way that a program has; argv[1] is the folder that they are in.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *folder;

static const char *named(const char *name) {
  static __thread char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void with_sixth(const char *name, uint64_t sixth) {
  const char *path = named(name);
  long result;
  register long r10 __asm__("r10") = 0;
  register long r8 __asm__("r8") = 0;
  register long r9 __asm__("r9") = (long)sixth;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(SYS_openat), "D"(AT_FDCWD), "S"(path), "d"(O_RDONLY), "r"(r10), "r"(r8),
                     "r"(r9)
                   : "rcx", "r11", "memory");
  if (result >= 0) close((int)result);
}

static void *in_thread(void *nothing) {
  close(open(named("thread"), O_RDONLY));
  return nothing;
}

// openat(AT_FDCWD, rdi, O_RDONLY) as bytes that a compiler never sees.
static const unsigned char code[] = {
    0x48, 0x89, 0xfe, 0xbf, 0x9c, 0xff, 0xff, 0xff, 0x31, 0xd2,
    0xb8, 0x01, 0x01, 0x00, 0x00, 0x0f, 0x05, 0xc3,
};

int main(int count, char **words) {
  folder = words[1];
  if (count > 2) {  // As what posix_spawn(3) has started.
    close(open(named(words[2]), O_RDONLY));
    return 0;
  }
  close(open(named("open"), O_RDONLY));
  fclose(fopen(named("fopen"), "r"));
  close((int)syscall(SYS_open, named("syscall"), O_RDONLY));
  uint64_t how[3] = {O_RDONLY, 0, 0};
  close((int)syscall(SYS_openat2, AT_FDCWD, named("openat2"), how, sizeof how));
  with_sixth("sixth-zero", 0);
  with_sixth("sixth-guess", KEY);  // What stands in filters that nobody has put a key into.
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code);
  mprotect(page, 4096, PROT_READ | PROT_EXEC);
  int made = ((int (*)(const char *))page)(named("made-code"));
  if (made >= 0) close(made);
  pid_t child = vfork();
  if (!child) {
    close(open(named("vfork"), O_RDONLY));
    _exit(0);
  }
  waitpid(child, NULL, 0);
  char *again[] = {words[0], words[1], "spawned", NULL};
  posix_spawn(&child, words[0], NULL, NULL, again, environ);
  waitpid(child, NULL, 0);
  return 0;
}
