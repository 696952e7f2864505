"""Environment: what Cargo documents passes, what looks like a secret does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildperm.rules import variables
from buildperm.rules.pattern import matches
from buildperm.rules.variables import is_baseline, looks_secret, passes, withheld_because

BASELINE = str.split("""
    CARGO CARGO_MANIFEST_DIR CARGO_MANIFEST_PATH CARGO_MANIFEST_LINKS CARGO_MAKEFLAGS
    CARGO_FEATURE_DEFAULT CARGO_FEATURE_TOKEN CARGO_CFG_TARGET_OS CARGO_CFG_KEY CARGO_PKG_NAME
    CARGO_PKG_AUTHORS OUT_DIR TARGET HOST NUM_JOBS DEBUG OPT_LEVEL PROFILE DEP_Z_ROOT
    DEP_OPENSSL_API_KEY RUSTC RUSTDOC RUSTC_WRAPPER RUSTC_LINKER CARGO_ENCODED_RUSTFLAGS
    RUSTFLAGS PATH LANG LC_ALL TZ SOURCE_DATE_EPOCH CC CXX CFLAGS CC_x86_64-unknown-linux-gnu
    CC_x86_64_unknown_linux_gnu CFLAGS_aarch64_apple_darwin HOST_CC TARGET_AR AR_wasm32_wasi
    CRATE_CC_NO_DEFAULTS PKG_CONFIG PKG_CONFIG_PATH PKG_CONFIG_ALLOW_CROSS
    x86_64-unknown-linux-gnu_PKG_CONFIG_PATH CMAKE CMAKE_GENERATOR CMAKE_TOOLCHAIN_FILE
    LIBCLANG_PATH LLVM_CONFIG_PATH BINDGEN_EXTRA_CLANG_ARGS OPENSSL_DIR OPENSSL_NO_VENDOR
    X86_64_UNKNOWN_LINUX_GNU_OPENSSL_DIR LIBSQLITE3_SYS_USE_PKG_CONFIG LIBZ_SYS_STATIC
    ZSTD_SYS_USE_PKG_CONFIG LIBGIT2_NO_VENDOR Z_LIB_DIR FOO_INCLUDE_DIR MAKEFLAGS
    RUST_BACKTRACE AWS_LC_SYS_CMAKE_BUILDER NIX_CFLAGS_COMPILE RUSTC_BOOTSTRAP PWD
    VCPKG_ROOT
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER SYSTEM_DEPS_LINK DOCS_RS
""")
SECRET = str.split("""
    CARGO_REGISTRY_TOKEN CARGO_REGISTRIES_MINE_TOKEN CARGO_REGISTRIES_MINE_CREDENTIAL_PROVIDER
    GITHUB_TOKEN GITHUB_ENV GITHUB_PATH GITHUB_OUTPUT GH_TOKEN ACTIONS_ID_TOKEN_REQUEST_URL
    ACTIONS_RUNTIME_TOKEN CI_JOB_TOKEN GITLAB_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    AWS_PROFILE AZURE_CLIENT_SECRET GOOGLE_APPLICATION_CREDENTIALS GCP_PROJECT DOCKER_HOST
    DOCKER_AUTH_CONFIG KUBECONFIG VAULT_ADDR NPM_TOKEN SSH_AUTH_SOCK SSH_AGENT_PID
    GPG_AGENT_INFO DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR DISPLAY WAYLAND_DISPLAY XAUTHORITY
    DATABASE_URL SENTRY_DSN HTTPS_PROXY http_proxy ALL_PROXY LD_PRELOAD LD_AUDIT PYTHONSTARTUP
    PERL5OPT BASH_ENV ENV NODE_OPTIONS GCC_EXEC_PREFIX COMPILER_PATH MY_SECRET my_password
    DB_PASSWD SIGNING_KEY API_KEY STRIPE_API_KEY OPENAI_API_KEY DEPLOY_TOKEN_2 SOMETOKEN
    CARGO_HTTP_PROXY CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS CARGO_REGISTRY_CREDENTIAL_PROVIDER
    ACTIONS_ID_TOKEN_REQUEST_TOKEN GITHUB_STATE GITHUB_STEP_SUMMARY CI_REGISTRY_PASSWORD AWS_REGION
    TEST_DATABASE_URL PIP_EXTRA_INDEX_URL GIT_ASKPASS GIT_SSH_COMMAND GNUPGHOME NOTIFY_SOCKET
    VSCODE_GIT_IPC_HANDLE ARTIFACTORY_URL SONAR_HOST_URL GLIBC_TUNABLES PYTHONUSERBASE
    BASH_FUNC_x%25%25 OPENSSL_SECRET FOO_STATIC_TOKEN PKG_CONFIG_TOKEN
    NIX_CONFIG VCPKG_BINARY_SOURCES X_VCPKG_ASSET_SOURCES GIT_CONFIG_VALUE_0 GIT_CONFIG_PARAMETERS
    SCCACHE_REDIS_ENDPOINT SERVICE_BUS_CONNECTION_STRING DISCORD_WEBHOOK_URL GOPROXY
""")
ORDINARY = str.split("""
    MY_SETTING EDITION KEYBOARD TOKYO MONKEY GITHUB_ACTIONS GITHUB_SHA CI_COMMIT_SHA CI AUTHOR
    PASSENGER SECURE NO_PROXY
""")


@pytest.mark.parametrize("name", BASELINE)
def test_cargos_and_tool_chains_variables_pass(name: str) -> None:
    assert is_baseline(name)
    assert not looks_secret(name)
    assert passes(name, learning=False, granted=[], denied=[])


@pytest.mark.parametrize("name", SECRET)
def test_secrets_pass_by_their_exact_name_only(name: str) -> None:
    assert looks_secret(name)
    assert withheld_because(name)
    assert not passes(name, learning=True, granted=["*", f"{name[:-1]}?", f"{name}*"], denied=[])
    assert passes(name, learning=False, granted=[name], denied=[])
    assert not passes(name, learning=False, granted=[name], denied=[name])


@pytest.mark.parametrize("name", ORDINARY)
def test_other_names_pass_while_learning_or_by_grant(name: str) -> None:
    assert not looks_secret(name)
    assert passes(name, learning=True, granted=[], denied=[])
    assert not passes(name, learning=False, granted=[], denied=[])
    assert passes(name, learning=False, granted=[f"{name[:2]}*"], denied=[])


def test_a_denial_wins_over_everything() -> None:
    assert not passes("OUT_DIR", learning=True, granted=["OUT_DIR"], denied=["OUT_*"])


@given(st.text(alphabet="ABCKEYTOKN_%2x", max_size=20))
def test_nothing_that_looks_secret_is_in_the_baseline(name: str) -> None:
    assert not (looks_secret(name) and is_baseline(name))


@st.composite
def _patterns_for(draw: st.DrawFn, name: str) -> str:
    """Put wildcards into a name so that the pattern still matches it."""
    characters = list(name)
    for at in draw(st.sets(st.integers(0, len(name) - 1), min_size=1, max_size=4)):
        characters[at] = draw(st.sampled_from(["?", "*", "**", f"*{characters[at]}"]))
    return "".join(characters)


@given(st.sampled_from(SECRET).flatmap(lambda n: st.tuples(st.just(n), _patterns_for(n))))
def test_no_wildcard_opens_a_name_that_looks_secret(drawn: tuple[str, str]) -> None:
    name, pattern = drawn

    assert not passes(name, learning=True, granted=[pattern, "*", "**"], denied=[])
    assert not passes(name, learning=False, granted=[pattern, "*", "**"], denied=[])


@pytest.mark.parametrize("filler", ["", "X", "A_B", "a/b"])
def test_names_are_judged_as_the_patterns_say(filler: str) -> None:
    for pattern in variables._PATTERNS:
        name = pattern.replace("*", filler)
        expected = any(matches(each, name) for each in variables._PATTERNS)

        assert variables._is_conventional(name) is expected, name
