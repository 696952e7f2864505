"""Asks an engine, before anything is built, whether it has to do with whoever builds.

An engine that does not take the credentials, or whose certificate is not believed, is an error of
the settings: it ends the command, and is not repeated for each script. An engine that does not
answer is not asked again in this build: each script runs here, and says so.

A process of its own speaks with it, as `workflow.remote_action` does for each script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from buildperm.errors import BuildpermError
from buildperm.printable import log_text
from buildperm.workflow import bound_process

if TYPE_CHECKING:
    import grpc

    from buildperm.supervisor.session import SessionRemote

_MODULE = b"buildperm.workflow.remote_greeting"
_ANSWER_S = 30.0
_GRACE_S = 15.0  # For Python to start, and to end.
_CREDENTIALS = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_INSTANCE = ("INVALID_ARGUMENT", "NOT_FOUND")

# What gRPC says of a connection that has not come about. With other words of a later version the
# engine is one that does not answer.
_CONNECTIONS = (
    ("certificate has expired", "its certificate has expired"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not of anybody who is believed"),
    ("Hostname Verification", "its certificate is for another host"),
    ("WRONG_VERSION_NUMBER", "it does not encrypt"),
    ("andshake", "no encrypted connection comes about"),
    ("Socket closed", "it closes the connection, and may want another certificate of yours"),
)


def greet(remote: SessionRemote) -> str:
    """Ask an engine; return why it does not answer, as a clause: empty if it does.

    Args:
        remote: The engine, as supervisors know it.

    Raises:
        BuildpermError: It answers, and does not take what is asked.
    """
    try:
        ended = subprocess.run(
            [*remote["command"][:-1], _MODULE],
            env=remote["environ"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_ANSWER_S + _GRACE_S,
            check=False,
        )
        why, is_settled = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        return "it does not answer"
    except ValueError:
        return "who was to ask has failed"
    if is_settled:
        raise BuildpermError(
            f"{remote['at']} cannot be used: {why}",
            hint="Look at the variables that docs/remote.md names, or build without it.",
        )
    return str(why)


def explained(error: grpc.RpcError, *, is_encrypted: bool) -> tuple[str, bool]:
    """Return what a failure means, as a clause, and whether asking again would change nothing."""
    import grpc

    if not isinstance(error, grpc.Call):
        return "it cannot be asked: no answer", False
    code = error.code().name
    if code in _CREDENTIALS:
        return f"it does not take the token or the certificate that it is given: {code}", True
    if code in _INSTANCE:
        return f"it cannot be asked, and may have no such instance: {code}", False
    if code == "UNAVAILABLE" and is_encrypted:
        said = str(error.details())
        for needle, why in _CONNECTIONS:
            if needle in said:
                return why, True
    return f"it cannot be asked: {code}", False


def _asked() -> tuple[str, bool]:
    import grpc

    from buildperm.workflow.remote_engine import MISSING
    from buildperm.workflow.remote_messages import MESSAGES
    from buildperm.workflow.remote_settings import RemoteSettings

    settings = RemoteSettings.from_variables(os.environ)
    with settings.channel() as channel:
        # Of no blob at all: an engine has to know instance and credentials to answer even that.
        request = MESSAGES["FindMissingBlobsRequest"](instance_name=settings.instance)
        call = channel.unary_unary(
            MISSING, request_serializer=lambda message: message.SerializeToString()
        )
        try:
            call(request, timeout=min(_ANSWER_S, settings.timeout_s))
        except grpc.RpcError as error:
            return explained(error, is_encrypted=settings.is_encrypted)
    return "", False


def main() -> int:
    """Ask the engine that the variables name; write what it says as JSON."""
    # With the command nobody waits for this.
    bound_process.end_with_parent()
    try:
        why, is_settled = _asked()
    except BuildpermError as error:
        why, is_settled = f"{error}", True
    json.dump([log_text(why), is_settled], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
