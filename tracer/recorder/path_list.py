"""What tools of the system run to list the paths that they ask for: code, and where it keeps them.

It lies in two pieces of memory of a tool, one behind the other: a page that can be read and
executed, and a region for the list. glibc calls the function in the page in the place of each call
that opens a file for reading or looks at a path (`open_patch`, LISTED):

    call with the key, which does not stop ──▶ done, ENOENT, ENOTDIR, no link ──▶ the path is listed
    other flags, other folders, no room, no key ──▶ call without the key: it stops as ever
    any other answer ──▶ call once more, without the key

The call comes first, so that the kernel finds out whether there is a path to be read: EFAULT is
another answer. A call that is begun counts, and so does one that is listed or that stops. Whoever
finds the two counts apart knows that something is not in the list.

Part of the supervisor: standard library only, nothing heavy.
"""

from __future__ import annotations

import struct

PAGE_SIZE = 0x1000
SIZE = PAGE_SIZE + (1 << 20)
"""Bytes of both; nothing is taken up before it is written to."""

FUNCTION_AT = 0x600
_PREFIX_MOST = FUNCTION_AT - 16
_PAGE = struct.Struct("=2Q")  # The key, and the length of what relative paths start with.
HEAD = struct.Struct("=4Q")
"""What the region begins with: bytes of the list, calls that were begun, and accounted for.

The list follows: for each path a byte that says how it was asked for (`KINDS`), the path, and a
NUL. A relative path stands behind the folder that it starts from, and a slash.
"""

OPENED, FAILED = 1, 2  # What was opened, and what was not.
KINDS: dict[int, tuple[bool, ...]] = {
    FAILED: (True,),
    4: (True,),  # stat
    6: (True, False),  # lstat, newfstatat: its flags say so
    11: (False,),  # readlinkat
    13: (True,),  # faccessat
    21: (True,),  # access
    76: (True, False),  # statx
    89: (False,),  # readlink
    183: (True, False),  # faccessat2
}
"""Of what was not opened: whether a last link may have been followed.

But for FAILED, these are the lower eight bits of the number of a call.
"""

READ_LINKS = (11, 89)
"""Those of KINDS that ask what a link says, and nothing else."""

# Maps both pieces, and makes the page what it is to be; the first call has its arguments already.
MAPPING = (
    b"\xb8\x09\x00\x00\x00\x0f\x05"  # mov $9,%eax; syscall: mmap
    b"\x48\x89\xc7\xbe\x00\x10\x00\x00"  # mov %rax,%rdi; mov $page,%esi
    b"\xba\x05\x00\x00\x00"  # mov $5,%edx: PROT_READ | PROT_EXEC
    b"\xb8\x0a\x00\x00\x00\x0f\x05\xcc"  # mov $10,%eax; syscall: mprotect; int3
)
MAPPED_WITH = (0, SIZE, 3, 0x4022, -1, 0)  # PROT_…WRITE; MAP_NORESERVE, _ANONYMOUS, _PRIVATE

# eax has the number, and all else is as the call takes it. The call itself changes rax, rcx, r11
# and the flags, so this may as well. AT_FDCWD is all that a path may start from.
_FUNCTION = (
    b"\x57\x56\x52\x41\x50"  # push %rdi; push %rsi; push %rdx; push %r8
    b"\x41\x51\x41\x52\x53\x55"  # push %r9; push %r10; push %rbx; push %rbp
    b"\x41\x54\x41\x55\x89\xc3"  # push %r12; push %r13; mov %eax,%ebx
    b"\x48\x89\xfd\x81\xfb\x01\x01\x00\x00"  # mov %rdi,%rbp; cmp $257,%ebx
    b"\x72\x1c\x48\x89\xf5\x75\x26"  # jb short; mov %rsi,%rbp; jne long
    b"\xf7\xc2\x43\x02\x61\x00\x0f\x85\x56\x01\x00\x00"  # test $flags,%edx; jne plain
    b"\x83\xff\x9c\x0f\x85\x4d\x01\x00\x00"  # cmp $AT_FDCWD,%edi; jne plain
    b"\xeb\x20"  # jmp ready
    b"\x83\xfb\x59\x75\x1b\x85\xd2"  # short: cmp $89,%ebx; jne ready; test %edx,%edx
    b"\x0f\x8e\x3e\x01\x00\x00\xeb\x11"  # jle plain; jmp ready
    b"\x81\xfb\x0b\x01\x00\x00\x75\x09"  # long: cmp $267,%ebx; jne ready
    b"\x45\x85\xd2\x0f\x8e\x2b\x01\x00\x00"  # test %r10d,%r10d; jle plain
    b"\x48\x81\xfd\x00\x00\x01\x00"  # ready: cmp $0x10000,%rbp
    b"\x0f\x82\x1e\x01\x00\x00\x4c\x8d\x25\x94\x09\x00\x00"  # jb plain; lea region,%r12
    b"\x49\x81\x3c\x24\xe0\xff\x0e\x00"  # cmpq $room,(%r12)
    b"\x0f\x83\x09\x01\x00\x00\x4c\x8b\x0d\x7f\xf9\xff\xff"  # jae plain; mov key,%r9
    b"\x4d\x85\xc9\x0f\x84\xf9\x00\x00\x00"  # test %r9,%r9; je plain
    b"\xf0\x49\xff\x44\x24\x08\x89\xd8"  # lock incq 0x8(%r12); mov %ebx,%eax
    b"\x0f\x05\x49\x89\xc5\x48\x85\xc0"  # syscall; mov %rax,%r13; test %rax,%rax
    b"\x79\x27\x48\x83\xf8\xfe\x74\x21"  # jns known; cmp $-ENOENT,%rax; je known
    b"\x48\x83\xf8\xec\x74\x1b"  # cmp $-ENOTDIR,%rax; je known
    b"\x48\x83\xf8\xea\x0f\x85\xb4\x00\x00\x00"  # cmp $-EINVAL,%rax; jne again
    b"\x83\xfb\x59\x74\x0c\x81\xfb\x0b\x01\x00\x00"  # cmp $89,%ebx; je known; cmp $267,%ebx
    b"\x0f\x85\xa3\x00\x00\x00"  # jne again
    b"\x48\x83\x3d\x35\xf9\xff\xff\x00"  # known: cmpq $0x0,key
    b"\x0f\x84\x82\x00\x00\x00\x80\x7d\x00\x00"  # je torn; cmpb $0x0,(%rbp)
    b"\x74\x76\x31\xd2\x80\x7d\x00\x2f"  # je counted; xor %edx,%edx; cmpb $'/',(%rbp)
    b"\x74\x17\x81\xfb\x01\x01\x00\x00\x72\x05"  # je whole; cmp $257,%ebx; jb relative
    b"\x83\xff\x9c\x75\x7a"  # cmp $AT_FDCWD,%edi; jne again
    b"\x8b\x15\x16\xf9\xff\xff\x85\xd2"  # relative: mov length,%edx; test %edx,%edx
    b"\x74\x70"  # je again
    b"\x31\xc0"  # whole: xor %eax,%eax
    b"\x80\x7c\x05\x00\x00"  # next: cmpb $0x0,(%rbp,%rax)
    b"\x48\x8d\x40\x01\x75\xf5"  # lea 0x1(%rax),%rax; jne next
    b"\x48\x8d\x4c\x10\x01\x49\x89\xc8"  # lea 0x1(%rax,%rdx),%rcx; mov %rcx,%r8
    b"\xf0\x4d\x0f\xc1\x04\x24\x4d\x8d\x0c\x08"  # lock xadd %r8,(%r12); lea (%r8,%rcx),%r9
    b"\x49\x81\xf9\xe0\xff\x0f\x00\x77\x35"  # cmp $size,%r9; ja torn
    b"\x4b\x8d\x7c\x04\x20\x89\xd9"  # lea 0x20(%r12,%r8),%rdi; mov %ebx,%ecx
    b"\x81\xfb\x01\x01\x00\x00\x75\x09"  # cmp $257,%ebx; jne note
    b"\x4c\x89\xe9\x48\xc1\xe9\x3f\xff\xc1"  # mov %r13,%rcx; shr $0x3f,%rcx; inc %ecx
    b"\x88\x0f\x48\xff\xc7"  # note: mov %cl,(%rdi); inc %rdi
    b"\x48\x8d\x35\xce\xf8\xff\xff\x89\xd1"  # lea prefix,%rsi; mov %edx,%ecx
    b"\xf3\xa4\x48\x89\xee\x89\xc1"  # rep movsb; mov %rbp,%rsi; mov %eax,%ecx
    b"\xf3\xa4"  # rep movsb
    b"\xf0\x49\xff\x44\x24\x10"  # counted: lock incq 0x10(%r12)
    b"\x4c\x89\xe8\x41\x5d\x41\x5c\x5d"  # torn: mov %r13,%rax; pop %r13; pop %r12; pop %rbp
    b"\x5b\x41\x5a\x41\x59\x41\x58\x5a"  # pop %rbx; pop %r10; pop %r9; pop %r8; pop %rdx
    b"\x5e\x5f\xc3"  # pop %rsi; pop %rdi; ret
    b"\x81\xfb\x01\x01\x00\x00\x75\x0f"  # again: cmp $257,%ebx; jne undone
    b"\x4d\x85\xed\x78\x0a\x44\x89\xef"  # test %r13,%r13; js undone; mov %r13d,%edi
    b"\xb8\x03\x00\x00\x00\x0f\x05"  # mov $0x3,%eax; syscall
    b"\xf0\x49\xff\x44\x24\x10"  # undone: lock incq 0x10(%r12)
    b"\x89\xd8\x41\x5d\x41\x5c\x5d"  # plain: mov %ebx,%eax; pop %r13; pop %r12; pop %rbp
    b"\x5b\x41\x5a\x41\x59\x41\x58\x5a"  # pop %rbx; pop %r10; pop %r9; pop %r8; pop %rdx
    b"\x5e\x5f\x0f\x05\xc3"  # pop %rsi; pop %rdi; syscall; ret
)


def page(key: int, folder: bytes) -> bytes:
    """Return what belongs into the page.

    Args:
        key: With which calls pass the filter; 0: none does, and nothing is listed.
        folder: Where relative paths start from, without links; empty where nobody can say.
    """
    prefix = b"%b/" % folder if folder else b""
    if len(prefix) > _PREFIX_MOST:
        prefix = b""
    return (_PAGE.pack(key, len(prefix)) + prefix).ljust(FUNCTION_AT, b"\0") + _FUNCTION


WITHOUT_KEY = bytes(8)
"""What, at the begin of the page, has each call stop from then on."""

FOLDER_AT, WITHOUT_FOLDER = 8, bytes(8)
"""What has relative paths stop, and where it belongs."""


def paths(content: bytes) -> set[bytes]:
    """Return the entries of a list."""
    return {entry for entry in content.split(b"\0") if entry}


def path(entry: bytes) -> bytes:
    """Return the absolute path of an entry; links and `..` in it are kept."""
    text = entry[1:]
    if b"//" in text or b"/./" in text or text.endswith((b"/", b"/.")):
        return b"/" + b"/".join(part for part in text.split(b"/") if part not in (b"", b"."))
    return text
