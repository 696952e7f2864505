// Writes a patch into a library of its own: argv[1] is a part of its name, and on standard input are
// lines with an offset in its code and bytes, both in hexadecimal digits. Then no file may be opened
// for reading any more without the key, argv[2]; what comes of its attempts is printed.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef BY_FUNCTION
int open_by_function(const char *path, int flags, int mode);
int *__errno_location(void);
#define open(path, flags, ...) open_by_function(path, flags, 0600)
#define openat(folder, path, flags, ...) open_by_function(path, flags, 0600)
#endif

static void patch(const char *library) {
  char line[8192], digits[8192];
  unsigned long base = 0, offset;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps))
    if (strstr(line, "r-xp") && strstr(line, library)) base = strtoul(line, NULL, 16);
  fclose(maps);
  FILE *memory = fopen("/proc/self/mem", "r+");
  setvbuf(memory, NULL, _IONBF, 0);
  while (base && scanf("%lx %8191s", &offset, digits) == 2) {
    fseek(memory, (long)(base + offset), SEEK_SET);
    char bytes[4096];
    size_t size = strlen(digits) / 2;
    for (size_t at = 0; at < size; at++) sscanf(digits + 2 * at, "%2hhx", bytes + at);
    if (fwrite(bytes, 1, size, memory) != size) exit(9);
  }
  fclose(memory);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(what, value, past) BPF_JUMP(BPF_JMP | what | BPF_K, value, 0, past)

static void confine(uint64_t key) {
  struct sock_filter code[] = {
      LOAD(nr),
      UNLESS(BPF_JEQ, SYS_openat, 8),
      LOAD(args[2]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 5, 0),
      LOAD(args[5]),
      UNLESS(BPF_JEQ, (uint32_t)key, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(key >> 32), 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
      LOAD(args[5]),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  code[1].jf = 8;  // Another call: allowed.
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
    exit(8);
}

static void try(const char *what, int file) {
  printf("%s %s\n", what, file >= 0 ? "done" : strerrorname_np(errno));
  if (file >= 0) close(file);
}

static void *in_thread(void *nothing) {
  try("thread", open("readable", O_RDONLY));
  try("thread-missing", open("missing", O_RDONLY));
  return nothing;
}

int main(int count, char **words) {
  if (count != 3) return 7;
  patch(words[1]);
  if (!getuid() && (setgid(2000) || setuid(2000))) return 6;  // Root may open anything.
  confine(strtoull(words[2], NULL, 16));
  try("read", open("readable", O_RDONLY | O_CLOEXEC));
  try("missing", open("missing", O_RDONLY));
  try("folder", openat(AT_FDCWD, "readable", O_RDONLY | O_DIRECTORY));
  try("refused", open("closed", O_RDONLY));  // It is tried again without the key.
  try("refused-at", openat(AT_FDCWD, "closed", O_RDONLY));
  try("made", open("made", O_RDWR | O_CREAT, 0600));
#ifndef BY_FUNCTION
  FILE *stream = fopen("readable", "r");
  try("stream", stream ? fileno(stream) : -1);
  DIR *listed = opendir(".");
  try("listed", listed ? dirfd(listed) : -1);
#endif
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  try("later", open("readable", O_RDONLY));
  return 0;
}
