// A build script that does one thing of each kind through its C library, whichever that is.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *in(const char *folder, const char *name) {
  static __thread char paths[2][4096];
  static __thread int turn;
  char *path = paths[turn = !turn];
  snprintf(path, sizeof paths[0], "%s/%s", getenv(folder), name);
  return path;
}

static void opens(const char *path, int flags) {
  int opened = open(path, flags, 0644);
  if (opened >= 0) close(opened);
}

static void *in_thread(void *nothing) {
  opens(in("CARGO_MANIFEST_DIR", "thread"), O_RDONLY);
  return nothing;
}

static void started(char *program, int searched) {
  pid_t child;
  char *words[] = {program, NULL};
  int failed = searched ? posix_spawnp(&child, program, NULL, NULL, words, environ)
                        : posix_spawn(&child, program, NULL, NULL, words, environ);
  if (!failed) waitpid(child, NULL, 0);
}

int main(void) {
  opens(in("CARGO_MANIFEST_DIR", "open"), O_RDONLY);
  opens(in("CARGO_MANIFEST_DIR", "missing"), O_RDONLY);
  opens(in("CARGO_MANIFEST_DIR", "refused-write"), O_WRONLY | O_CREAT);
  opens(in("HOME", "refused"), O_RDONLY);
  FILE *file = fopen(in("CARGO_MANIFEST_DIR", "fopen"), "r");
  if (file) fclose(file);
  DIR *folder = opendir(in("CARGO_MANIFEST_DIR", "folder"));
  if (folder) closedir(folder);
  close(openat(AT_FDCWD, in("CARGO_MANIFEST_DIR", "openat"), O_RDONLY));
  file = fopen(in("OUT_DIR", "written"), "w");
  fputs("text", file);
  fclose(file);
  rename(in("OUT_DIR", "written"), in("OUT_DIR", "renamed"));
  symlink("renamed", in("OUT_DIR", "link"));
  link(in("OUT_DIR", "renamed"), in("OUT_DIR", "linked"));
  unlink(in("OUT_DIR", "linked"));
  mkdir(in("OUT_DIR", "made"), 0755);
  rmdir(in("OUT_DIR", "made"));
  chmod(in("OUT_DIR", "renamed"), 0600);
  chmod(in("HOME", "refused"), 0600);
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  pid_t child = fork();
  if (!child) {
    opens(in("CARGO_MANIFEST_DIR", "fork"), O_RDONLY);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  started("/usr/bin/true", 0);
  started("true", 1);
  started("/usr/bin/false", 0);  // Not granted.
  started("not-there-at-all", 1);
  FILE *shell = popen("read line <\"$CARGO_MANIFEST_DIR/shell\"", "r");
  if (shell) pclose(shell);
  int made = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(9)};
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(made, (struct sockaddr *)&place, sizeof place);
  close(made);
  socket(AF_INET, SOCK_DGRAM, 0);
  kill(1, 0);
  getenv("ASKED_AND_SET");
  getenv("ASKED_AND_NOT_SET");
  puts("cargo::rustc-cfg=seen");
  return 0;
}
