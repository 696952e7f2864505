"""Which directives of Cargo are harmless, which run something else, and which steer tools.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

LINK_ARGUMENTS = (
    "rustc-link-arg",
    "rustc-link-arg-bin",
    "rustc-link-arg-bins",
    "rustc-link-arg-tests",
    "rustc-link-arg-examples",
    "rustc-link-arg-benches",
    "rustc-link-arg-cdylib",
    "rustc-cdylib-link-arg",
)
HARMLESS = (
    "rerun-if-changed",
    "rerun-if-env-changed",
    "warning",
    "error",
    "metadata",
    "rustc-cfg",
    "rustc-check-cfg",
    "rustc-link-lib",
)
ARGUMENTS = ("rustc-cfg", "rustc-check-cfg", "rustc-link-lib", "rustc-link-search", "rustc-env")
"""Keys whose values are words of their own on a command line, or name a variable."""
# With one colon Cargo knows these keys only, and takes everything else for metadata.
OLD_KEYS = (
    *(key.encode() for key in LINK_ARGUMENTS),
    *(key.encode() for key in HARMLESS if key not in ("error", "metadata")),
    b"rustc-flags",
    b"rustc-link-search",
    b"rustc-env",
)
SYSTEM_LIBRARIES = (
    "/lib/**",
    "/lib32/**",
    "/lib64/**",
    "/usr/lib/**",
    "/usr/lib32/**",
    "/usr/lib64/**",
    "/usr/local/lib/**",
    "/usr/local/lib64/**",
    "/nix/store/**",
    "/gnu/store/**",
    "$SYSROOT/**",
)
# Variables of this kind are set for rustc and everything that it starts.
_STEERING_NAMES = """
    PATH HOME PWD OLDPWD TMP TMPDIR TEMP SHELL ENV BASH_ENV IFS OUT_DIR LIBRARY_PATH CPATH
    C_INCLUDE_PATH CPLUS_INCLUDE_PATH OBJC_INCLUDE_PATH COMPILER_PATH GCC_EXEC_PREFIX
    CC CXX LD AR AS LDFLAGS CFLAGS
    CXXFLAGS CPPFLAGS DEPENDENCIES_OUTPUT SUNPRO_DEPENDENCIES SDKROOT LDEMULATION LDOPTS
    MAKEFLAGS MFLAGS NODE_OPTIONS RUBYOPT RUBYLIB JAVA_TOOL_OPTIONS SSLKEYLOGFILE TERMINFO
    GLIBC_TUNABLES GCONV_PATH LOCPATH NLSPATH MALLOC_TRACE RESOLV_HOST_CONF HOSTALIASES
    LOCALDOMAIN TZDIR EDITOR VISUAL PAGER BROWSER
    SHELLOPTS BASHOPTS PS4 MALLOC_CONF _JAVA_OPTIONS JDK_JAVA_OPTIONS DEVELOPER_DIR
    OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES LPATH LANG LANGUAGE LC_ALL LC_MESSAGES
    BINUTILS_ROOT GNUTARGET FORCE_LLD_DIAGNOSTICS_CRASH FORCE_CLANG_DIAGNOSTICS_CRASH
    """
# PS4: bash runs what is in it before each command where SHELLOPTS says `xtrace`; sh is often bash,
# and the rustc wrapper a shell script. LANGUAGE names a folder with messages, wherever it is,
# and BINUTILS_ROOT one with programs and specifications for gcc. CARGO_CRATE_NAME tells our wrapper
# what is compiled.
STEERING_EXACT = frozenset(_STEERING_NAMES.split())
STEERING_BEGINNINGS = (
    "LD_",
    "DYLD_",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "RUST_MIN_STACK",
    "RUST_TARGET_PATH",
    "CARGO",
    "__CARGO",
    "GCC_",
    # Linkers and the compilers that call them: LLD_REPRODUCE and CC_PRINT_OPTIONS_FILE are written
    # to, whatever they name.
    "CCC_",
    "CC_PRINT_",
    "CC_LOG_",
    "CLANG_",
    "COLLECT_",
    "OFFLOAD_TARGET_",
    "LLVM_",
    "LLD_",
    "MOLD_",
    "WILD_",
    "ZIG_",
    # What stands in for rustc beside the wrapper.
    "CLIPPY_",
    "DYLINT_",
    "MIRI_",
    "MIRIFLAGS",
    # Where rustc itself runs emulated, these make the emulator load code.
    "QEMU_",
    "BOX64_",
    "BOX86_",
    "PYTHON",
    "PERL",
    "BASH_FUNC_",
    "GIT_",
    "SSH_",
    "GNUPG",
    "CCACHE_",
    "SCCACHE_",
    "DISTCC_",
    "ICECC",
    "NIX_",  # Its compilers are shell scripts that take flags from the environment.
    "GUIX_",
    "HOMEBREW_",
    "SPACK_",
    "EM_",
    "EMCC_",
    "XDG_",
    "ASAN_",
    "LSAN_",
    "TSAN_",
    "UBSAN_",
    "BUILDPERM",
)
STEERING_ENDINGS = ("_PROXY",)
# These begin like the above and steer nothing: programs only embed them.
EMBEDDED = (
    "CARGO_PKG_*",
    "CARGO_GIT_*",
    "CARGO_CRATE_*",
    "RUSTC_VERSION*",
    "RUSTC_SEMVER*",
    "RUSTC_CHANNEL*",
    "RUSTC_COMMIT*",
    "RUSTC_HOST*",
    "RUSTC_TARGET*",
    "RUSTC_RELEASE*",
    "GIT_HASH*",
    "GIT_SHA*",
    "GIT_REV*",
    "GIT_COMMIT*",
    "GIT_DESCRIBE*",
    "GIT_BRANCH*",
    "GIT_TAG*",
    "GIT_VERSION*",
    "GIT_DIRTY*",
    "GIT_DATE*",
    "GIT_SEMVER*",
    "PYTHON_VERSION*",
    "LLVM_VERSION*",
)
