"""Which environment variables reach a build script.

Part of the supervisor: imports nothing but built-in modules.
"""

from __future__ import annotations

from buildperm.rules.memoization import memoized
from buildperm.rules.pattern import is_literal, matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# What Cargo sets for build scripts (Cargo book, "Environment variables Cargo sets for build
# scripts"); whatever the names look like, Cargo made the values.
_FROM_CARGO = ("CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "DEP_")

_EXACT_TEXT = """
    CARGO CARGO_HOME CARGO_INCREMENTAL CARGO_MAKEFLAGS CARGO_MANIFEST_DIR CARGO_MANIFEST_LINKS
    CARGO_MANIFEST_PATH CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_TERM_COLOR
    CARGO_HTTP_CAINFO CARGO_LOG CARGO_NET_GIT_FETCH_WITH_CLI CARGO_NET_OFFLINE CARGO_NET_RETRY
    DEBUG HOST NUM_JOBS OPT_LEVEL OUT_DIR PROFILE RUSTC RUSTC_BOOTSTRAP RUSTC_LINKER
    RUSTC_WORKSPACE_WRAPPER RUSTC_WRAPPER RUSTDOC RUSTFLAGS RUSTUP_HOME RUSTUP_TOOLCHAIN
    RUST_BACKTRACE RUST_LIB_BACKTRACE
    RUST_MIN_STACK RUST_RECURSION_COUNT SSL_CERT_DIR SSL_CERT_FILE TARGET
    MAKEFLAGS MFLAGS MAKELEVEL DOCS_RS SOURCE_DATE_EPOCH ZERO_AR_DATE
    HOME LANG LANGUAGE LD_LIBRARY_PATH LOGNAME PATH PWD SHELL SHLVL TERM TMP TMPDIR TEMP TZ USER _
    COLUMNS LINES NO_COLOR CLICOLOR CLICOLOR_FORCE
    AR ARFLAGS AS ASFLAGS CC CFLAGS CPP CPPFLAGS CRATE_CC_NO_DEFAULTS CXX CXXFLAGS CXXSTDLIB FC
    FFLAGS LD LDFLAGS NASM NM NVCC OBJCOPY OBJDUMP RANLIB RANLIBFLAGS READELF STRIP WINDRES YASM
    CCACHE_DISABLE CC_ENABLE_DEBUG_OUTPUT CC_FORCE_DISABLE CC_KNOWN_WRAPPER_CUSTOM
    CC_SHELL_ESCAPED_FLAGS
    MACOSX_DEPLOYMENT_TARGET IPHONEOS_DEPLOYMENT_TARGET SDKROOT DEVELOPER_DIR
    ANDROID_HOME ANDROID_NDK ANDROID_NDK_HOME ANDROID_NDK_ROOT WASI_SDK_PATH WASI_SYSROOT
    VCINSTALLDIR VSCMD_ARG_TGT_ARCH VSTEL_MSBuildProjectFullPath VisualStudioVersion WindowsSdkDir
    CLANG_PATH GCC LIBCLANG_PATH LIBCLANG_STATIC_PATH LLVM_CONFIG_PATH RUSTFMT
    PROTOC PROTOC_INCLUDE PROTOC_NO_VENDOR CAPNP PYTHON PYTHON3 PERL GIT MAKE
    LIBRARY_PATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH
    """
_EXACT = frozenset(_EXACT_TEXT.split())
# C_INCLUDE_PATH and LIBRARY_PATH steer the compiler, but a script that is run may set them for its
# own children anyway, and Nix and Homebrew build nothing without them.

_PATTERNS = (
    "LC_*",
    "AR_*",
    "ARFLAGS_*",
    "ASFLAGS_*",
    "CC_*-*",
    "CC_*_*_*",
    "CFLAGS_*",
    "CPPFLAGS_*",
    "CXX_*",
    "CXXFLAGS_*",
    "CXXSTDLIB_*",
    "LDFLAGS_*",
    "RANLIB_*",
    "RANLIBFLAGS_*",
    "HOST_*",
    "TARGET_*",
    "CARGO_BUILD_*",
    # What Cargo is told so, a Cargo that a script runs has to be told as well.
    "CARGO_PROFILE_*",
    "CARGO_REGISTRIES_*_INDEX",
    "CARGO_RESOLVER_*",
    "CARGO_UNSTABLE_*",
    "CARGO_TARGET_*_AR",
    "CARGO_TARGET_*_LINKER",
    "CARGO_TARGET_*_RUNNER",
    "CARGO_TARGET_*_RUSTFLAGS",
    "PKG_CONFIG",
    "PKG_CONFIG_*",
    "*_PKG_CONFIG",
    "*_PKG_CONFIG_*",
    "CMAKE",
    "CMAKE_*",
    "NINJA",
    "NINJA_*",
    "BINDGEN_*",
    "LIBCLANG_*",
    "LLVM_*",
    "LLVM_SYS_*",
    "RUSTC_*_VERSION",
    "OPENSSL_*",
    "*_OPENSSL_DIR",
    "*_OPENSSL_LIB_DIR",
    "*_OPENSSL_INCLUDE_DIR",
    "*_OPENSSL_NO_VENDOR",
    "*_OPENSSL_STATIC",
    "*_OPENSSL_LIBS",
    "*_NO_VENDOR",
    "*_STATIC",
    "*_DYNAMIC",
    "*_LIB_DIR",
    "*_LIBDIR",
    "*_INCLUDE_DIR",
    "*_NO_PKG_CONFIG",
    "*_USE_PKG_CONFIG",
    "*_SYS_*",
    "SYSTEM_DEPS_*",
    "VCPKG_*",
    "VCPKGRS_*",
    "NIX_*",
    "MSYS*",
    "MINGW*",
    "EMSDK*",
    "EM_*",
    "WASI_*",
    "NDK_*",
    "XCODE_*",
)

# Nearly all of them are a beginning or an ending, which Python compares quicker than we do.
_BEGINNINGS = tuple(each[:-1] for each in _PATTERNS if each.find("*") == len(each) - 1)
_ENDINGS = tuple(each[1:] for each in _PATTERNS if each.rfind("*") == 0)
_OTHERS = tuple(
    each for each in _PATTERNS if each[:-1] not in _BEGINNINGS and each[1:] not in _ENDINGS
)

_STEERING = "it makes programs run code of its value"
_SESSION = "it leads to your session: agents, buses, the display"
NAMED_SECRET = "its name says that it holds a secret"  # noqa: S105
_SERVICE = "it belongs to a service's credentials"
_CI = "it belongs to the CI service: credentials, and files that later steps run"

_WITHHELD_EXACT = {
    "LD_PRELOAD": _STEERING,
    "LD_AUDIT": _STEERING,
    "PYTHONSTARTUP": _STEERING,
    "PYTHONHOME": _STEERING,
    "PYTHONPATH": _STEERING,
    "PERL5OPT": _STEERING,
    "PERL5LIB": _STEERING,
    "PERL5DB": _STEERING,
    "RUBYOPT": _STEERING,
    "NODE_OPTIONS": _STEERING,
    "JAVA_TOOL_OPTIONS": _STEERING,
    "_JAVA_OPTIONS": _STEERING,
    "BASH_ENV": _STEERING,
    "ENV": _STEERING,
    "PROMPT_COMMAND": _STEERING,
    "GCC_EXEC_PREFIX": _STEERING,
    "COMPILER_PATH": _STEERING,
    "EDITOR": _STEERING,
    "PAGER": _STEERING,
    "GIT_ASKPASS": _STEERING,
    "GIT_SSH": _STEERING,
    "GIT_SSH_COMMAND": _STEERING,
    "SUDO_ASKPASS": _STEERING,
    "RUBYLIB": _STEERING,
    "PYTHONUSERBASE": _STEERING,
    "PYTHONINSPECT": _STEERING,
    "DOTNET_STARTUP_HOOKS": _STEERING,
    "GCONV_PATH": _STEERING,
    "GLIBC_TUNABLES": _STEERING,
    "MALLOC_TRACE": _STEERING,
    "LD_DEBUG_OUTPUT": _STEERING,
    "ZDOTDIR": _STEERING,
    "SSH_AUTH_SOCK": _SESSION,
    "SSH_AGENT_PID": _SESSION,
    "SSH_CONNECTION": _SESSION,
    "SSH_CLIENT": _SESSION,
    "SSH_ASKPASS": _SESSION,
    "GPG_AGENT_INFO": _SESSION,
    "GPG_TTY": _SESSION,
    "DBUS_SESSION_BUS_ADDRESS": _SESSION,
    "DBUS_SYSTEM_BUS_ADDRESS": _SESSION,
    "XDG_RUNTIME_DIR": _SESSION,
    "DISPLAY": _SESSION,
    "WAYLAND_DISPLAY": _SESSION,
    "WAYLAND_SOCKET": _SESSION,
    "XAUTHORITY": _SESSION,
    "ICEAUTHORITY": _SESSION,
    "SESSION_MANAGER": _SESSION,
    "TMUX": _SESSION,
    "GNUPGHOME": _SESSION,
    "KRB5CCNAME": _SESSION,
    "NOTIFY_SOCKET": _SESSION,
    "I3SOCK": _SESSION,
    "SWAYSOCK": _SESSION,
    "SSH_ORIGINAL_COMMAND": _SESSION,
    "STY": _SESSION,
    "KUBECONFIG": _SERVICE,
    "DATABASE_URL": _SERVICE,
    "DATABASE_URI": _SERVICE,
    "REDIS_URL": _SERVICE,
    "MONGODB_URI": _SERVICE,
    "MONGO_URL": _SERVICE,
    "PGPASSFILE": _SERVICE,
    "NETRC": _SERVICE,
    "BOTO_CONFIG": _SERVICE,
    "MYSQL_URL": _SERVICE,
    "AMQP_URL": _SERVICE,
    "RABBITMQ_URL": _SERVICE,
    "ELASTICSEARCH_URL": _SERVICE,
    "PIP_INDEX_URL": _SERVICE,
    "PIP_EXTRA_INDEX_URL": _SERVICE,
    "UV_INDEX_URL": _SERVICE,
    "CCACHE_REMOTE_STORAGE": _SERVICE,
    "CCACHE_SECONDARY_STORAGE": _SERVICE,
    "NIX_CONFIG": _SERVICE,  # access-tokens: nix.conf(5)
    "VCPKG_BINARY_SOURCES": _SERVICE,  # With the key of a storage in it.
    "X_VCPKG_ASSET_SOURCES": _SERVICE,
    "GOPROXY": _SERVICE,
    "CURL_HOME": _SERVICE,
    "WGETRC": _SERVICE,
    "CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS": _SERVICE,
}
_WITHHELD_BEGINNINGS = {
    "GITHUB_": _CI,
    "GH_": _CI,
    "ACTIONS_": _CI,
    "RUNNER_": _CI,
    "GITLAB_": _CI,
    "CI_": _CI,
    "CIRCLE_": _CI,
    "BUILDKITE_": _CI,
    "TRAVIS_": _CI,
    "JENKINS_": _CI,
    "TEAMCITY_": _CI,
    "BITBUCKET_": _CI,
    "SYSTEM_ACCESSTOKEN": _CI,
    "CODESPACES_": _CI,
    "SONAR_": _CI,
    "SNYK_": _CI,
    "VSCODE_GIT_": _SESSION,
    "VSCODE_IPC_": _SESSION,
    "AWS_": _SERVICE,
    "AZURE_": _SERVICE,
    "ARM_CLIENT_": _SERVICE,
    "GOOGLE_": _SERVICE,
    "GCP_": _SERVICE,
    "GCLOUD_": _SERVICE,
    "CLOUDSDK_": _SERVICE,
    "DIGITALOCEAN_": _SERVICE,
    "CLOUDFLARE_": _SERVICE,
    "HEROKU_": _SERVICE,
    "DOCKER_": _SERVICE,
    "KUBERNETES_": _SERVICE,
    "VAULT_": _SERVICE,
    "SCCACHE_REDIS": _SERVICE,
    "SCCACHE_MEMCACHED": _SERVICE,
    "GIT_CONFIG_COUNT": _SERVICE,  # http.extraHeader: git(1) "GIT_CONFIG_COUNT"
    "GIT_CONFIG_KEY_": _SERVICE,
    "GIT_CONFIG_VALUE_": _SERVICE,
    "GIT_CONFIG_PARAMETERS": _SERVICE,
    "SENTRY_": _SERVICE,
    "NPM_CONFIG_": _SERVICE,
    "TWINE_": _SERVICE,
    "ARTIFACTORY_": _SERVICE,
    "JFROG_": _SERVICE,
    "NEW_RELIC_": _SERVICE,
    "OP_SESSION": _SERVICE,
    "ANTHROPIC_": _SERVICE,
    "OPENAI_": _SERVICE,
    "STRIPE_": _SERVICE,
    "TWILIO_": _SERVICE,
    "SLACK_": _SERVICE,
    "TELEGRAM_": _SERVICE,
    "LD_AUDIT": _STEERING,
    "DYLD_INSERT_": _STEERING,
    "BASH_FUNC_": _STEERING,
}
_WITHHELD_ENDINGS = ("DATABASE_URL", "CONNECTION_STRING", "WEBHOOK_URL")
_ORDINARY = ("AWS_LC_",)  # A library that is called so; everything else of AWS_ is withheld.
_REVISION_TEXT = """
    GITHUB_ACTIONS GITHUB_SHA GITHUB_REF GITHUB_REF_NAME GITHUB_REF_TYPE GITHUB_RUN_ID
    GITHUB_RUN_NUMBER GITHUB_REPOSITORY GITLAB_CI CI_COMMIT_SHA CI_COMMIT_SHORT_SHA
    CI_COMMIT_REF_NAME CI_COMMIT_TAG CI_PIPELINE_ID RUNNER_OS RUNNER_ARCH CIRCLE_SHA1
    """
_REVISION = frozenset(_REVISION_TEXT.split())  # They only say what is being built, and where.
_WORDS_TEXT = """
    TOKEN TOKENS SECRET SECRETS PASSWORD PASSWORDS PASSWD PASSPHRASE PASSCODE PWD PW PASS
    CREDENTIAL CREDENTIALS CREDS CRED AUTH AUTHORIZATION BEARER COOKIE COOKIES JWT SESSION PAT
    APIKEY APITOKEN ACCESSKEY SECRETKEY PRIVATEKEY SIGNINGKEY KEY KEYS DSN
    """
_WORDS = frozenset(_WORDS_TEXT.split())
_PIECES = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "APIKEY")


@memoized(10_000)
def withheld_because(name: str) -> str:
    """Say why the variable reaches no script but by its exact name; empty if it may.

    `name` is in notation. Names that Cargo itself sets are never withheld.
    """
    upper = name.upper()
    if upper in ("PWD", "OLDPWD") or upper in _REVISION:
        return ""
    if name.startswith(_FROM_CARGO) or upper.startswith(_ORDINARY):
        return ""
    reason = _WITHHELD_EXACT.get(upper, "")
    if reason:
        return reason
    for beginning, held in _WITHHELD_BEGINNINGS.items():
        if upper.startswith(beginning):
            return held
    if any(piece in upper for piece in _PIECES) or not _WORDS.isdisjoint(_words(upper)):
        return NAMED_SECRET
    if upper.endswith(_WITHHELD_ENDINGS):
        return _SERVICE
    if upper.endswith("_PROXY") and upper != "NO_PROXY":
        return "a proxy's address can hold a password"
    return ""


def looks_secret(name: str) -> bool:
    """Tell whether the variable may hold a credential or steers programs."""
    return bool(withheld_because(name))


def secret_names() -> frozenset[str]:
    """Return the exact names, in capitals, of what `looks_secret`."""
    return frozenset(_WITHHELD_EXACT)


def secret_patterns() -> list[str]:
    """Return patterns for all other names that look secret, in capitals.

    With a `*` they are for the whole name, without for a word of it between `_`, `-` and `.`. They
    cover ordinary names, too: `looks_secret` knows these.
    """
    found = [f"{beginning}*" for beginning in _WITHHELD_BEGINNINGS]
    found += [f"*{ending}" for ending in (*_WITHHELD_ENDINGS, "_PROXY")]
    found += [f"*{piece}*" for piece in _PIECES]
    return [*found, *sorted(_WORDS)]


def holds_credential(name: str) -> bool:
    """Tell whether the value may be a credential; what only steers programs holds none."""
    return withheld_because(name) not in ("", _STEERING)


def is_baseline(name: str) -> bool:
    """Tell whether every build script gets the variable: Cargo's own and those of tool chains."""
    if name.startswith(_FROM_CARGO) or name in _EXACT:
        return True
    return _is_conventional(name) and not looks_secret(name)


def _is_conventional(name: str) -> bool:
    if "/" in name:  # Which no `*` covers.
        return False
    if name.startswith(_BEGINNINGS) or name.endswith(_ENDINGS):
        return True
    return bool(_convention(name))


@memoized(10_000)
def _convention(name: str) -> str:
    """Return the first of the other patterns that covers the name; empty if none does."""
    return next((pattern for pattern in _OTHERS if matches(pattern, name)), "")


def passes(name: str, *, learning: bool, granted: Iterable[str], denied: Iterable[str]) -> bool:
    """Tell whether the variable `name`, in notation, reaches the script.

    `granted` and `denied` are patterns. What looks like a secret passes by its exact name only.

    Raises:
        ValueError: A pattern holds a `%` without two hexadecimal digits.
    """
    if any(matches(pattern, name) for pattern in denied):
        return False
    if looks_secret(name):
        return any(is_literal(pattern) and matches(pattern, name) for pattern in granted)
    return learning or is_baseline(name) or any(matches(pattern, name) for pattern in granted)


def _words(name: str) -> list[str]:
    return name.replace("-", "_").replace(".", "_").split("_")
