"""The messages that are declared here are the published ones."""

from __future__ import annotations

import importlib

import pytest

from buildperm.workflow.remote_messages import MESSAGES, TABLE, Message

_PUBLISHED = (
    "buildstream._protos.build.bazel.remote.execution.v2.remote_execution_pb2",
    "buildstream._protos.google.bytestream.bytestream_pb2",
    "buildstream._protos.google.longrunning.operations_pb2",
    "buildstream._protos.google.rpc.status_pb2",
    *(f"google.protobuf.{name}_pb2" for name in ("any", "duration", "timestamp", "wrappers")),
)


def _fields(message: Message) -> dict[str, tuple[object, ...]]:
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated,
            field.message_type.name if field.message_type else "",
        )
        for field in message.DESCRIPTOR.fields
    }


@pytest.mark.parametrize("name", TABLE)
def test_every_field_is_as_it_is_published(name: str) -> None:
    pytest.importorskip("buildstream", reason="no buildstream for this processor")
    modules = map(importlib.import_module, _PUBLISHED)
    published = next(getattr(each, name) for each in modules if hasattr(each, name))

    ours = _fields(MESSAGES[name])
    theirs = _fields(published)

    assert ours
    assert ours == {field: theirs.get(field) for field in ours}


def test_a_message_comes_back_as_it_was() -> None:
    action = MESSAGES["Action"](do_not_cache=True)
    action.timeout.seconds = 600
    action.input_root_digest.hash = "ab"

    assert MESSAGES["Action"].FromString(action.SerializeToString()) == action
