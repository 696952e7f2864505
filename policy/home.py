"""The home folder while learning: closed, but for what a build honestly needs of it.

What tools keep in a home folder cannot be listed: each new one has its own place for keys. What
tool chains and compilers keep there can.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

import os

from buildperm.policy.leads import SYSTEM, covers, outermost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
_OPEN = (  # Folders of tool chains, and of what they have downloaded, built and cached.
    *(".rustup", ".cargo/bin", ".cargo/registry", ".cargo/git", ".elan", ".juliaup", ".swiftly"),
    *(
        ".pyenv",
        ".virtualenvs",
        ".venvs",
        ".rye/py",
        ".rye/shims",
        ".rye/tools",
        ".pixi/envs",
        ".local/share/virtualenvs",
    ),
    *("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "miniconda", "anaconda"),
    *(".conda/envs", ".conda/pkgs", ".local/share/mamba", ".local/share/uv", ".local/share/pipx"),
    *(".nvm", ".volta", ".fnm", ".nodenv", ".n", ".nodebrew", ".npm-global", ".npm-packages"),
    *(".local/share/fnm", ".local/share/pnpm", ".pnpm-store", ".bun/bin", ".bun/install/global"),
    *(".deno/bin", ".local/share/nvm", ".local/share/node", ".yarn/bin", ".yarn/berry/cache"),
    *(".rbenv", ".rvm", ".chruby", ".rubies", ".gem/ruby", ".local/share/gem/ruby"),
    *(".sdkman/candidates", ".jenv", ".jdks", ".jabba", ".gradle/caches", ".gradle/wrapper"),
    *(".gradle/jdks", ".gradle/native", ".m2/repository", ".m2/wrapper"),
    *(".ivy2/cache", ".sbt/boot", ".coursier/cache", ".cache/coursier", ".konan"),
    *(
        ".asdf",
        ".local/share/mise",
        ".local/share/rtx",
        ".proto",
        ".moon",
        ".local/share/aquaproj-aqua",
    ),
    *("go/pkg", "go/bin", ".go", ".goenv", ".gvm", ".local/share/go", "sdk"),
    *(".ghcup", ".cabal/bin", ".cabal/lib", ".cabal/packages", ".cabal/store", ".stack/programs"),
    *(
        ".stack/snapshots",
        ".opam",
        ".local/state/cabal",
        ".local/share/ghcup",
        ".nimble/pkgs2",
        ".choosenim",
    ),
    *(
        ".conan/data",
        ".conan/profiles",
        ".conan2/p",
        ".conan2/profiles",
        "vcpkg",
        ".vcpkg",
        ".cache/vcpkg",
    ),
    *(
        ".local/bin",
        ".local/sbin",
        ".local/lib",
        ".local/lib64",
        ".local/libexec",
        ".local/include",
    ),
    *(".local/opt", ".local/share/pkgconfig", ".local/share/cmake", ".local/share/aclocal"),
    *(".local/share/man", ".local/share/locale", ".local/share/swiftly", ".local/share/rustup"),
    *(".local/share/cargo/bin", ".local/share/cargo/registry", ".local/share/cargo/git"),
    *(".nix-profile", ".local/state/nix", ".nix-defexpr", ".guix-profile", ".config/guix/current"),
    *(".linuxbrew", "emsdk", ".emsdk", "Android/Sdk", "android-sdk", "Android/sdk", ".android-ndk"),
    *(".platformio/packages", ".platformio/tools", ".espressif", "esp", ".arduino15/packages"),
    *(".zvm", ".zig", ".zigup", ".wasmer/bin", ".wasmer/lib", ".wasmtime/bin"),
    *(".wasi-sdk", "wasi-sdk", ".foundry/bin", ".svm", ".solcx", ".aztec/bin", ".sp1", ".risc0"),
    *(".dotnet/sdk", ".dotnet/shared", ".dotnet/host", ".dotnet/packs", ".dotnet/tools"),
    *(".local/share/solana/install", ".dotnet/dotnet", ".nuget/packages", ".julia/artifacts"),
    *(
        ".julia/packages",
        ".julia/juliaup",
        ".perlbrew/perls",
        "perl5",
        ".plenv",
        ".luarocks/lib",
        ".luarocks/share",
    ),
    *(".luaver", ".phpenv", ".swiftenv", ".crenv", ".xmake", ".xrepo", "spack"),
    *(".tfenv", ".pkgx", ".local/pkgx", ".devbox", ".texlive", ".TinyTeX", "texmf", ".fonts"),
    *(
        ".local/share/fonts",
        "x-tools",
        "toolchains",
        ".toolchains",
        "opt/cross",
        ".ccache",
        ".sccache",
    ),
)
_CACHES = (  # Below XDG_CACHE_HOME.
    *("ccache", "sccache", "pip", "uv", "zig", "go-build", "bazel", "bazelisk", "clangd", "deno"),
    *("cargo", "rust", "rustc", "cargo-zigbuild", "cargo-xwin", "xwin", "node-gyp", "node", "yarn"),
    *(
        "pnpm",
        "electron",
        "vcpkg",
        "meson",
        "cmake",
        "conan",
        "emscripten",
        "wasm-pack",
        ".wasm-pack",
    ),
    *(
        "nix",
        "guix",
        "bindgen",
        "dotslash",
        "cpm",
        "CPM",
        "protobuf",
        "buf",
        "gopls",
        "mise",
        "pypoetry",
    ),
    *(
        "fontconfig",
        "mesa_shader_cache",
        "lima",
        "hipcc",
        "comgr",
        "nvidia",
        "torch/kernels",
        "pixi",
    ),
    *(
        "rattler",
        "julia",
        "ghcup",
        "hie-bios",
        "cabal",
        "opam",
        "coursier",
        "ort.pyke.io",
        "vulkan",
    ),
)
_FILES = (  # What programs look for in every folder above the one they work in.
    *("rustfmt.toml", ".rustfmt.toml", "clippy.toml", ".clippy.toml", "rust-toolchain"),
    *("rust-toolchain.toml", ".clang-format", ".clang-tidy", ".editorconfig", ".tool-versions"),
    *(
        ".node-version",
        ".nvmrc",
        ".python-version",
        ".ruby-version",
        ".java-version",
        ".go-version",
    ),
    *(".ignore", ".gitignore", ".gitattributes", ".bazelversion", ".flake8", ".style.yapf"),
)
_SEARCH_PATHS = (
    *("PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"),
    *("PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "CMAKE_PREFIX_PATH", "CMAKE_MODULE_PATH"),
    *("ACLOCAL_PATH", "PYTHONPATH", "PERL5LIB", "GOPATH", "NODE_PATH", "CMAKE_PROGRAM_PATH"),
)
_TOOLS = (  # Variables that name a program or a folder of a tool chain.
    *("CC", "CXX", "AR", "LD", "NM", "RANLIB", "AS", "STRIP", "OBJCOPY", "CLANG_PATH", "NVCC"),
    *("LIBCLANG_PATH", "LLVM_CONFIG_PATH", "PROTOC", "PROTOC_INCLUDE", "PYTHON", "PYTHON3"),
    *("PYO3_PYTHON", "CMAKE", "NINJA", "PKG_CONFIG", "RUSTC", "RUSTDOC", "RUSTFMT", "CARGO"),
    *("RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_HOME", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("JAVA_HOME", "ANDROID_HOME", "ANDROID_SDK_ROOT", "ANDROID_NDK", "ANDROID_NDK_HOME"),
    *("ANDROID_NDK_ROOT", "NDK_HOME", "GOROOT", "PYENV_ROOT", "NVM_DIR", "VOLTA_HOME", "EMSDK"),
    *("EM_CACHE", "WASI_SDK_PATH", "WASI_SYSROOT", "VCPKG_ROOT", "CUDA_PATH", "CUDA_HOME"),
    *("CUDA_ROOT", "LIBTORCH", "ORT_LIB_LOCATION", "VULKAN_SDK", "SYSROOT", "SDKROOT", "QMAKE"),
    *("CCACHE_DIR", "SCCACHE_DIR", "GOCACHE", "GOMODCACHE", "HOMEBREW_PREFIX", "SDKMAN_DIR"),
    *("ASDF_DATA_DIR", "MISE_DATA_DIR", "RBENV_ROOT", "FNM_DIR", "PNPM_HOME", "DOTNET_ROOT"),
)
_TOOL_ENDINGS = (
    *("_LIB_DIR", "_INCLUDE_DIR", "_SYSROOT", "_SYSROOT_DIR", "_LIB_PATH", "_LIBRARY_PATH"),
    *("_LINKER", "_PREFIX", "_INCLUDE_PATH", "_NDK", "_SDK", "_TOOLCHAIN", "_INSTALL_DIR"),
    *("OPENSSL_DIR", "_SYS_DIR", "_TOOLCHAIN_FILE"),
)
_TOOL_BEGINNINGS = ("CC_", "CXX_", "AR_", "LLVM_SYS_", "LIBCLANG_", "PKG_CONFIG_PATH_")
_PROGRAMS = (b"bin", b"sbin", b"shims", b"libexec", b"lib", b"lib64", b"include")
_PARTS = (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libexec", b"include", b"share", b"etc")
_PROJECT = (b".git", b".hg", b".svn", b".jj", b"Cargo.toml", b"package.json", b".env")
_LISTED_MOST = 2_000  # Entries of one folder of PATH in the home folder.


def closed(places: Mapping[str, bytes], environ: Mapping[bytes, bytes]) -> list[bytes]:
    """List the folders that are closed while learning: HOME, and where XDG_* put parts of it.

    None that is the workspace, or has the system in it, as where a container has no home (`/`).
    """
    named = [places.get("HOME", b"")]
    for name in _XDG:
        folder = environ.get(name.encode(), b"")
        named.append(os.path.realpath(folder) if folder.startswith(b"/") else b"")
    found: list[bytes] = []
    for folder in named:
        if not folder.startswith(b"/") or any(covers(other, folder) for other in found):
            continue
        if folder in (places.get("WORKSPACE"), places.get("MANIFEST_DIR")) or any(
            covers(folder, system) or (covers(system, folder) and not _is_apart(folder))
            for system in (*SYSTEM, b"/etc")
        ):
            continue
        found.append(folder)
    return found


def opened(
    homes: Iterable[bytes],
    places: Mapping[str, bytes],
    environ: Mapping[bytes, bytes],
    path: bytes,
) -> list[bytes]:
    """List what stays open in `homes`: existing files and folders, without links, sorted.

    Args:
        homes: What `closed` returned.
        places: Folders by token.
        environ: The environment of whoever builds, not of a script.
        path: PATH of build scripts.
    """
    homes = list(homes)
    if not homes:
        return []
    home = places.get("HOME", b"")
    cargo_home = places.get("CARGO_HOME", home + b"/.cargo")
    named = [home + b"/" + each.encode() for each in (*_OPEN, *_FILES)]
    named += [cargo_home + each for each in (b"/bin", b"/registry", b"/git")]
    for name, below in (("XDG_CACHE_HOME", b"/.cache"), ("XDG_DATA_HOME", b"/.local/share")):
        folder = environ.get(name.encode(), b"") or home + below
        if name == "XDG_CACHE_HOME":
            named += [folder + b"/" + each.encode() for each in _CACHES]
        elif folder != home + below:
            named += [
                folder + b"/" + each.removeprefix(".local/share/").encode()
                for each in _OPEN
                if each.startswith(".local/share/")
            ]
    named += _tools(environ, path, homes)
    found: set[bytes] = set()
    for each in named:
        if each.startswith(b"/") and os.path.lexists(each):
            real = os.path.realpath(each)
            if _may_open(real, homes):
                found.add(real)
    return outermost(found)


def _tools(environ: Mapping[bytes, bytes], path: bytes, homes: list[bytes]) -> Iterator[bytes]:
    """Yield what the environment names of tool chains, with the folders that they are parts of."""
    folders: dict[bytes, None] = dict.fromkeys(path.split(b":"))
    for raw, value in environ.items():
        name = raw.decode("ascii", "replace")
        if name in _SEARCH_PATHS:
            folders.update(dict.fromkeys(value.split(b":")))
        elif name in _TOOLS or name.endswith(_TOOL_ENDINGS) or name.startswith(_TOOL_BEGINNINGS):
            for word in value.split():
                if word.startswith(b"/"):
                    folders[word] = None
    for named in folders:
        if not named.startswith(b"/"):
            continue
        real = os.path.realpath(named)
        if not any(covers(home, real) for home in homes):
            continue
        yield real
        yield from _around(real, homes)
        for target in _links(real):
            yield target
            yield from _around(target, homes)


def _around(path: bytes, homes: list[bytes]) -> Iterator[bytes]:
    """Yield what `PREFIX/bin` or `PREFIX/bin/PROGRAM` needs beside it: all of PREFIX.

    Of a folder that is somebody's project only its usual parts.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    prefix, _, name = folder.rpartition(b"/")
    if name not in _PROGRAMS or not _may_open(prefix, homes):
        return
    if any(os.path.lexists(prefix + b"/" + mark) for mark in _PROJECT):
        for part in _PARTS:
            yield prefix + b"/" + part
    else:
        yield prefix


def _links(folder: bytes) -> Iterator[bytes]:
    """Yield where links in a folder of programs lead: `~/.local/bin/protoc -> ~/opt/…`."""
    left = _LISTED_MOST
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    return
                if entry.is_symlink():
                    real = os.path.realpath(entry.path)
                    if os.path.isfile(real) and os.access(real, os.X_OK):
                        yield real
    except OSError:
        return


def _may_open(path: bytes, homes: list[bytes]) -> bool:
    """Tell whether `path` is in a closed folder, and not one that everything is in."""
    if not any(path != home and covers(home, path) for home in homes):
        return False
    for home in homes:
        wide = [home, *(home + name for name in (b"/.local", b"/.local/share", b"/.config"))]
        wide += [home + name for name in (b"/.cache", b"/.local/state", b"/.cargo", b"/.conan2")]
        if path in wide or any(covers(path, other) for other in homes):
            return False
    return True


def _is_apart(folder: bytes) -> bool:
    """Tell a home folder that lies in a folder of the system from a part of the system."""
    return folder.count(b"/") > 2 or folder.startswith(b"/usr/home")
