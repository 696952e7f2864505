"""Which engine scripts run on, and how it is reached: by the command line and the user's variables.

No file of a workspace has a say: what leaves this machine, and to where, is for who builds.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from buildperm.errors import BuildpermError, CannotEnforceError
from buildperm.policy.runtime_table import WEAKEST, strength
from buildperm.printable import is_visible
from buildperm.tracer.notation import encode
from buildperm.workflow import executor_files, remote_credentials

if TYPE_CHECKING:
    import grpc

    from buildperm.supervisor.session import SessionRemote
    from buildperm.workflow.remote_credentials import RemoteCredentials

ADDRESS = "BUILDPERM_REMOTE"
"""Names the engine, as `--remote` does."""

_CA, _CERTIFICATE, _KEY = f"{ADDRESS}_CA", f"{ADDRESS}_CERT", f"{ADDRESS}_KEY"
_TOKEN, _TIMEOUT, _CACHE = f"{ADDRESS}_TOKEN_FILE", f"{ADDRESS}_TIMEOUT", f"{ADDRESS}_TRUST_CACHE"
_FILES = (_CA, _CERTIFICATE, _KEY, _TOKEN)
_MODULES = "PYTHONPATH"
VARIABLES = (ADDRESS, _CA, _CERTIFICATE, _KEY, _TOKEN, _TIMEOUT, _CACHE)
INSTALL = "Install it: pip install 'buildperm[remote]'."
FORM = "Write grpcs://HOST:PORT/INSTANCE, or grpc:// for an engine on this machine."

# Of the command's own environment: a project has no say in that, as it has in what Cargo passes on.
_PASSED = ("HOME", "PATH", _MODULES, "XDG_CACHE_HOME", "https_proxy", "no_proxy")
_TIMEOUT_S = 600
_TIMEOUT_MOST_S = 86_400


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """One engine."""

    target: str  # HOST:PORT.
    instance: str  # Which one of those that it serves; may be empty.
    is_encrypted: bool
    ca: str = ""  # Files; empty for none.
    certificate: str = ""
    key: str = ""
    token: str = ""
    timeout_s: int = _TIMEOUT_S  # For all that one script takes there.
    trusts_cache: bool = False  # What the engine has kept of earlier actions will do.

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> RemoteSettings:
        """Read what the variables say.

        Raises:
            BuildpermError: They say nothing that can be used.
        """
        target, instance, is_encrypted = _parsed(variables.get(ADDRESS, ""))
        files = [variables.get(name, "") for name in _FILES]
        if any(files) and not is_encrypted:
            raise BuildpermError(
                "keys and tokens are only for addresses that begin with grpcs://", hint=FORM
            )
        if bool(files[1]) != bool(files[2]):
            raise BuildpermError(
                f"only one of {_CERTIFICATE} and {_KEY} is set", hint="Set both, or neither."
            )
        said = variables.get(_TIMEOUT) or str(_TIMEOUT_S)
        if not said.isascii() or not said.isdigit() or not 0 < int(said) <= _TIMEOUT_MOST_S:
            raise BuildpermError(
                f"{_TIMEOUT} is `{said}`", hint=f"Write seconds, at most {_TIMEOUT_MOST_S}."
            )
        trust = variables.get(_CACHE, "")
        if trust not in ("", "0", "1"):
            raise BuildpermError(f"{_CACHE} is `{trust}`", hint="Write 1, or leave it out.")
        ca, certificate, key, token = files
        return cls(
            target,
            instance,
            is_encrypted,
            ca=ca,
            certificate=certificate,
            key=key,
            token=token,
            timeout_s=int(said),
            trusts_cache=trust == "1",
        )

    @property
    def shown(self) -> str:
        """The address, for people."""
        scheme = "grpcs" if self.is_encrypted else "grpc"
        return f"{scheme}://{self.target}" + (f"/{self.instance}" if self.instance else "")

    def credentials(self) -> RemoteCredentials:
        """Read the files that are named.

        Raises:
            BuildpermError: One cannot be used.
        """
        return remote_credentials.read(
            ca=self.ca, certificate=self.certificate, key=self.key, token=self.token
        )

    def channel(self) -> grpc.Channel:
        """Return a channel to it.

        Raises:
            BuildpermError: A file cannot be used.
        """
        from buildperm.workflow import remote_engine

        if not self.is_encrypted:
            return remote_engine.channel(self.target, None, "")
        import grpc

        found = self.credentials()
        credentials = grpc.ssl_channel_credentials(found.ca, found.key, found.certificate)
        return remote_engine.channel(self.target, credentials, found.token)


def described(variables: Mapping[str, str]) -> SessionRemote:
    """Return what supervisors have to know of the engine that the variables name.

    Raises:
        BuildpermError: It cannot be used.
    """
    settings = RemoteSettings.from_variables(variables)
    settings.credentials()  # Whoever asks the engine reads them anew: nothing here passes them on.
    check_installed()
    passed = {name: variables[name] for name in (*VARIABLES, *_PASSED) if name in variables}
    # Who asks does so from the folder of a package, which must neither be searched for modules nor
    # hold what a relative path names.
    if _MODULES in passed:
        passed[_MODULES] = os.pathsep.join(
            filter(os.path.isabs, passed[_MODULES].split(os.pathsep))
        )
    passed |= {name: os.path.abspath(passed[name]) for name in _FILES if passed.get(name)}
    environ = {os.fsencode(name): os.fsencode(value) for name, value in passed.items()}
    environ[executor_files.NAMED_BY.encode()] = os.fsencode(executor_files.write())
    words = [os.path.abspath(sys.executable), "-P", "-m", "buildperm.workflow.remote_action"]
    return {
        "at": settings.shown,
        "command": [os.fsencode(word) for word in words],
        "environ": environ,
        "executor": executor_files.command(),
        "timeout_s": settings.timeout_s,
        "silent": "",
    }


def check_required(require: str) -> None:
    """Make sure that what holds scripts on an engine is as much as a workspace asks for.

    Raises:
        CannotEnforceError: It is less: there, too, Landlock and seccomp hold them.
    """
    if strength(require) > strength(WEAKEST):
        raise CannotEnforceError(
            f'`require = "{require}"` asks for more than the runtime `remote`',
            hint=f"Build without `--runtime remote`, or lower `require` to `{WEAKEST}`.",
        )


def check_installed() -> None:
    """Make sure that what speaks to engines is there.

    Raises:
        BuildpermError: It is not.
    """
    try:
        from buildperm.workflow import remote_engine  # noqa: F401
    except ImportError as error:
        name = encode(os.fsencode(error.name or "grpc"))
        raise BuildpermError(f"`{name}` is needed to run scripts remotely", hint=INSTALL) from error


def _parsed(address: str) -> tuple[str, str, bool]:
    """Return HOST:PORT, the instance, and whether it is encrypted.

    Raises:
        BuildpermError: It is no address that can be used.
    """
    if not address:
        raise BuildpermError("no engine is named", hint=f"Use `--remote`, or set {ADDRESS}. {FORM}")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    is_plain = address.isascii() and is_visible(address) and " " not in address
    if parts.scheme not in ("grpc", "grpcs") or not host or not port or not is_plain:
        raise BuildpermError("the address of the engine is none", hint=FORM)
    if parts.username is not None or parts.query or parts.fragment:
        raise BuildpermError(
            "the address of the engine holds more than host, port and instance",
            hint=f"Name a file with a token in {_TOKEN}.",
        )
    if parts.scheme == "grpc" and not _is_loopback(host):
        raise BuildpermError(
            "what is sent to another machine has to be encrypted, and what comes back as well",
            hint="Write grpcs:// instead of grpc://.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port}", parts.path.strip("/"), parts.scheme == "grpcs"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
