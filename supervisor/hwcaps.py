"""Names of subfolders that a loader searches in each folder that it is told to search.

They depend on processor, kernel and C library: ld.so(8), "Hardware capabilities"; glibc's
dl-procinfo.c and dl-hwcaps.c; AT_PLATFORM and AT_BASE_PLATFORM of getauxval(3). A folder is judged
by every name that any version of glibc has searched, not only by those of this machine: a shell of
another libc may run the stub. A list that is too long costs a grant; one that is too short costs
the sandbox. musl has no such folders.

Part of the supervisor: built-in modules only.
"""

from __future__ import annotations

LEVELS = b"glibc-hwcaps"
"""Since glibc 2.33. It holds folders of any name, such as `x86-64-v3`, one level deep."""

_EVERYWHERE = "tls"
# What the kernel calls the processor, and what glibc makes of it.
_PLATFORMS = """
    x86_64 haswell xeon_phi i386 i486 i586 i686
    aarch64 aarch64_be
    v3l v3b v4l v4b v5l v5b v5tl v5tb v6l v6b v7l v7b v7ml v7mb v8l v8b
    powerpc power3 power4 power5 power5+ power6 power6x power7 power7+ power8 power8+ power9 power10
    power11 rs64 pa6t ppc970 ppc-cell-be ppc32 ppc64 ppc601 ppc603 ppc604 ppc750 ppc823 ppc7400
    ppc7450 ppc403 ppc405 ppc440 ppc440gp ppc464 ppc470 ppc476 ppc5554 ppc8540 ppc8548 ppce500mc
    ppce5500 ppce6500
    g5 z900 z990 z9-109 z10 z196 zEC12 z13 z14 z15 z16 z17
    ev4 ev5 ev56 ev6 ev67 loongson2e loongson2f octeon octeon2 gs464 gs464e gs264e r6
    v8 v9 v9v v9v2 ultra3 sparc4 loongarch
"""
# Its features. The last one of x86 is from the vDSO of Xen's kernels.
_ABILITIES = """
    acpi apic clflush cmov cx8 de dts fpu fxsr ht ia64 mca mce mmx msr mtrr pae pat pbe pge pn pse
    pse36 psn sep ss sse sse2 tm tsc vme xmm xmm2 osfxsr amd3d avx512_1 nosegneg
    fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc
    dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg
    swp half thumb 26bit fastmult vfp edsp java iwmmxt crunch thumbee neon vfpv3 vfpv3d16 vfpv4
    idiva idivt vfpd32 lpae
    4xxmac altivec arch_2_05 arch_2_06 arch_2_07 arch_3_00 arch_3_1 booke cellbe dfp efpdouble
    efpsingle ic_snoop mmu notb smt spe true_le ucache vsx archpmu vcrypto tar isel ebb dscr htm
    esan3 zarch stfle msa ldisp eimm hpage edat etf3enh etf3eh highgprs te vx vxd vxe gs vxe2 vxp
    sort dflt vxp2 nnpa pcimio sie
    flush stbar swap muldiv
"""
NAMES = frozenset(f"{_EVERYWHERE} {_PLATFORMS} {_ABILITIES}".encode().split())
"""Before glibc 2.37; they may be nested in any order."""


def is_searched(name: bytes, above: bytes) -> bool:
    """Tell whether a loader that searches `above`, which ends in `/`, searches `name` in it."""
    return name == LEVELS or name in NAMES or above.endswith(LEVELS + b"/")
