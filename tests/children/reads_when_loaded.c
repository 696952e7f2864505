// Opens the file FILE for reading as soon as it is loaded: a library that gets into a compiler.
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

int plugin_is_GPL_compatible;  // gcc(1), -fplugin

int plugin_init(void *about, void *version) {
  (void)about, (void)version;
  return 0;
}

int onload(void *transfer) {  // ld(1), -plugin
  (void)transfer;
  return 0;
}

__attribute__((constructor)) static void loaded(void) {
  int file = open(FILE, O_RDONLY | O_CLOEXEC);
  if (file >= 0) close(file);
}
