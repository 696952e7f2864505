"""A machine that runs seccomp filters: what a classic BPF program answers to a system call."""

from __future__ import annotations

import struct

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def evaluate(program: bytes, arch: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """Return what a classic BPF program answers, after bpf(4) and seccomp(2) alone."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(a & (1 << 64) - 1 for a in padded))
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator = 0
    at = 0
    for _ in range(10_000):
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            assert value % 4 == 0
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= value
        elif code == 0x05:  # BPF_JMP | BPF_JA
            at += value
        elif code == 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
            at += if_true if accumulator == value else if_false
        elif code == 0x35:  # BPF_JMP | BPF_JGE | BPF_K
            at += if_true if accumulator >= value else if_false
        elif code == 0x45:  # BPF_JMP | BPF_JSET | BPF_K
            at += if_true if accumulator & value else if_false
        elif code == 0x06:  # BPF_RET | BPF_K
            return int(value)
        else:
            raise AssertionError(f"instruction {code:#x} is not expected in this filter")
    raise AssertionError("the program does not end")
