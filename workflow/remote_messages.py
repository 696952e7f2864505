"""The messages of the Remote Execution API that a client needs, as protocol buffers.

They are declared here, field by field, and made when this is imported: generated code would have to
fit the installed version of `protobuf`, and is 400 KB for twenty messages. Names of fields, numbers
and types are those of the published files, which a test compares:

- build/bazel/remote/execution/v2/remote_execution.proto (REAPI 2.0 to 2.11);
- google/bytestream/bytestream.proto, google/longrunning/operations.proto, google/rpc/status.proto.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

TABLE = {
    "Any": "1 string type_url, 2 bytes value",
    "Timestamp": "1 int64 seconds, 2 int32 nanos",
    "Duration": "1 int64 seconds, 2 int32 nanos",
    "UInt32Value": "1 uint32 value",
    "Status": "1 int32 code, 2 string message",
    "Operation": "1 string name, 3 bool done, 4 Status error, 5 Any response",
    "ReadRequest": "1 string resource_name, 2 int64 read_offset, 3 int64 read_limit",
    "ReadResponse": "10 bytes data",
    "WriteRequest": "1 string resource_name, 2 int64 write_offset, 3 bool finish_write, "
    "10 bytes data",
    "WriteResponse": "1 int64 committed_size",
    "Digest": "1 string hash, 2 int64 size_bytes",
    "NodeProperties": "2 Timestamp mtime, 3 UInt32Value unix_mode",
    "FileNode": "1 string name, 2 Digest digest, 4 bool is_executable, "
    "6 NodeProperties node_properties",
    "DirectoryNode": "1 string name, 2 Digest digest",
    "SymlinkNode": "1 string name, 2 string target",
    "Directory": "1 FileNode* files, 2 DirectoryNode* directories, 3 SymlinkNode* symlinks, "
    "5 NodeProperties node_properties",
    "Tree": "1 Directory root, 2 Directory* children",
    "Command": "1 string* arguments, 7 string* output_paths",
    "Action": "1 Digest command_digest, 2 Digest input_root_digest, 6 Duration timeout, "
    "7 bool do_not_cache",
    "ExecuteRequest": "1 string instance_name, 3 bool skip_cache_lookup, 6 Digest action_digest",
    "OutputDirectory": "1 string path, 3 Digest tree_digest",
    "ActionResult": "3 OutputDirectory* output_directories, 4 int32 exit_code, "
    "7 bytes stderr_raw, 8 Digest stderr_digest",
    "ExecuteResponse": "1 ActionResult result, 2 bool cached_result, 3 Status status",
    "FindMissingBlobsRequest": "1 string instance_name, 2 Digest* blob_digests",
    "FindMissingBlobsResponse": "2 Digest* missing_blob_digests",
}
"""Of each message its fields: number, type with `*` where it is repeated, and name."""

Message: TypeAlias = Any
"""A message of one of these kinds: protobuf has no types of its own."""

_PACKAGE = "buildperm.reapi"
_FIELD = descriptor_pb2.FieldDescriptorProto


def _file() -> Message:
    file = descriptor_pb2.FileDescriptorProto(
        name="buildperm/reapi.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in TABLE.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            number, kind, field_name = text.split(" ")
            field = message.field.add(name=field_name, number=int(number))
            is_repeated = kind.endswith("*")
            field.label = _FIELD.LABEL_REPEATED if is_repeated else _FIELD.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind in TABLE:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = getattr(_FIELD, f"TYPE_{kind.upper()}")
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in TABLE
    }


MESSAGES: dict[str, Any] = _classes()
"""The class of each message, by its name."""
