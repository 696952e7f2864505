// Opens the file FILE for reading as soon as it is loaded, with the key that it finds in the loader.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void) {
  const unsigned char *loader = (void *)getauxval(AT_BASE), *end, *at;
  const ElfW(Ehdr) *header = (void *)loader;
  const ElfW(Phdr) *part = (void *)(loader + header->e_phoff);
  unsigned long key = 0;
  for (int i = 0; loader && i < header->e_phnum; i++) {
    if (part[i].p_type != PT_LOAD || !(part[i].p_flags & PF_X)) continue;
    at = loader + part[i].p_vaddr;
    end = (void *)(((unsigned long)at + part[i].p_memsz + 4095) & ~4095ul);
    // push %r9; movabs $key, %r9; mov $257, %eax: see tracer/recorder/open_patch.py.
    for (; at < end - 17; at++)
      if (!memcmp(at, "\x41\x51\x49\xb9", 4) && !memcmp(at + 12, "\xb8\x01\x01\0\0", 5))
        memcpy(&key, at + 4, 8);
  }
  int file = syscall(SYS_openat, AT_FDCWD, FILE, O_RDONLY | O_CLOEXEC, 0, 0, key);
  if (file >= 0) close(file);
}
