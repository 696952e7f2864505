"""What an image's layers make together, as a tree in memory; nothing is written.

So nothing that a layer says can lead out of a folder: a name is only a way through this tree, and
links are followed in it, as in the system that it will be. Layers are applied as the image
specification says: what is named later replaces, and *whiteouts* (`.wh.NAME`, and `.wh..wh..opq`
for all that is in a folder) remove what layers below have.
"""

from __future__ import annotations

import stat

from buildperm.sandbox.tape_archive import TapeMember
from buildperm.tracer.notation import encode

ENTRIES_MOST = 2_000_000  # As many as a root may have.
_TEXT_MOST = 1 << 28  # Bytes of names and links.
_LINKS_MOST = 40  # path_resolution(7)
_NAME_MOST, _PATH_MOST = 255, 4_095  # limits.h
_DEPTH_MOST = 200  # Folders in one another: who removes them again holds each of them open.
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"


class NoTreeError(Exception):
    """The layers make no tree; the text says why, as a clause."""


class TreeFile:
    """One file, folder or link."""

    __slots__ = (
        *("children", "kept", "kind", "layer", "link"),
        *("member", "mode", "mtime", "same", "size"),
    )

    def __init__(self, layer: int, found: TapeMember | None = None, member: int = -1) -> None:
        """Take what a layer says; a folder that none speaks of is as mkdir(1) makes it."""
        self.layer = layer
        self.same = self  # Another than this one where this is only another name of it.
        self.kept = -1  # The layer for which all of lower ones was removed.
        self.size = found.size if found else 0
        self.member = member  # The number in its layer, to find its content again.
        self.kind = found.kind if found else stat.S_IFDIR
        self.mode = found.mode if found else 0o755
        self.mtime = found.mtime if found else 0
        self.link = found.link if found else b""
        self.children: dict[bytes, TreeFile] | None = {} if self.kind == stat.S_IFDIR else None

    def named(self, layer: int) -> TreeFile:
        """Return another name of this file, which a layer gives it: the name is of that layer."""
        made = TreeFile(layer)
        made.same = self.same
        made.kind, made.link, made.mtime, made.children = self.kind, self.link, self.mtime, None
        return made


class ImageTree:
    """The tree, to which layers are added in their order."""

    def __init__(self) -> None:
        """Begin with an empty one."""
        self.top = TreeFile(-1)
        self._entries = 0
        self._text = 0

    def add(self, layer: int, number: int, found: TapeMember) -> None:
        """Add one entry of a layer.

        Args:
            layer: Its number; no lower one comes afterwards.
            number: Of the entry in its layer.
            found: The entry.

        Raises:
            NoTreeError: It cannot be added.
        """
        parts = _parts(found.name)
        self._entries += 1
        self._count(found.name + found.link)
        if not parts:
            if found.kind != stat.S_IFDIR:
                raise NoTreeError("its top is no folder")
            return
        *above, name = parts
        if name.startswith(_WHITEOUT):
            self._remove(layer, above, name)
            return
        folder = self._folder(layer, above)
        assert folder.children is not None
        old = folder.children.get(name)
        if found.kind == 0:
            folder.children[name] = self._linked(found.link).named(layer)
        elif found.kind == stat.S_IFDIR and old is not None and old.children is not None:
            old.layer, old.mode, old.mtime = layer, found.mode, found.mtime
        else:
            if found.kind == stat.S_IFLNK and not 0 < len(found.link) <= _PATH_MOST:
                raise NoTreeError(f"it has the link `{encode(name)}`, which no system can make")
            folder.children[name] = TreeFile(layer, found, number)

    def _count(self, walked: bytes) -> None:
        """Bound what a layer can cost: entries, and the names that are walked through."""
        self._text += len(walked)
        if self._entries > ENTRIES_MOST:
            raise NoTreeError(f"its layers have more than {ENTRIES_MOST:,} entries")
        if self._text > _TEXT_MOST:
            raise NoTreeError("its layers have names of more than 256 MiB")

    def _linked(self, link: bytes) -> TreeFile:
        """Return the file to which another name is given."""
        parts = _parts(link)
        folder = self._walked(parts[:-1])
        file = folder.children.get(parts[-1]) if folder and folder.children and parts else None
        if file is None or file.children is not None:
            raise NoTreeError(f"it links to `{encode(link)}`, which is no file of it")
        return file

    def _remove(self, layer: int, above: list[bytes], name: bytes) -> None:
        """Apply a whiteout: to what layers below have, wherever it stands in its own."""
        folder = self._walked(above)
        if folder is None or folder.children is None:
            return
        if name == _OPAQUE:
            _keep(folder, layer)
        elif not name.startswith(_WHITEOUT * 2):  # Those were for another file system, aufs.
            hidden = name.removeprefix(_WHITEOUT)
            if hidden in (b"", b".", b".."):
                raise NoTreeError("it has a whiteout without a name")
            found = folder.children.get(hidden)
            if found is not None and not _keep(found, layer):
                del folder.children[hidden]

    def _walked(self, parts: list[bytes]) -> TreeFile | None:
        try:
            return self._walk(parts, -1)
        except KeyError:
            return None

    def _folder(self, layer: int, parts: list[bytes]) -> TreeFile:
        """Return a folder, which is made if it is not there."""
        return self._walk(parts, layer)

    def _walk(self, parts: list[bytes], layer: int) -> TreeFile:
        """Go through the tree, links followed, as somebody would whose `/` its top is.

        Args:
            parts: Names.
            layer: The one for which folders are made; -1: none are, and KeyError says so.
        """
        way = [self.top]
        pending = parts[::-1]
        links = 0
        while pending:
            name = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":  # Only of a link.
                del way[max(1, len(way) - 1) :]
                continue
            children = way[-1].children
            assert children is not None
            found = children.get(name)
            if found is None:
                if layer < 0:
                    raise KeyError(name)
                self._entries += 1
                found = children[name] = TreeFile(layer)
            if found.kind == stat.S_IFLNK:
                links += 1
                if links > _LINKS_MOST:
                    raise NoTreeError("it has a link that leads in a circle, as a folder")
                self._count(found.link)
                if found.link.startswith(b"/"):
                    way = [self.top]
                pending += found.link.split(b"/")[::-1]
            elif found.children is None:
                raise NoTreeError(f"it has `{encode(name)}` as a file and as a folder")
            elif len(way) > _DEPTH_MOST:
                raise NoTreeError(f"it has more than {_DEPTH_MOST} folders in one another")
            else:
                way.append(found)
        return way[-1]


def _keep(top: TreeFile, layer: int) -> bool:
    """Remove all that is of lower layers; tell whether anything is left, or this is of `layer`.

    Nothing of lower layers comes afterwards. So no folder is looked through twice for one layer,
    however often it says so.
    """
    if top.children is None:
        return top.layer >= layer
    # Children before their folder, without recursion: a tree may be as deep as a path is long.
    order, pending = [], [top] if top.kept < layer else []
    while pending:
        folder = pending.pop()
        folder.kept = layer
        order.append(folder)
        assert folder.children is not None
        pending += (
            each
            for each in folder.children.values()
            if each.children is not None and each.kept < layer
        )
    for folder in reversed(order):
        assert folder.children is not None
        folder.children = {
            name: each
            for name, each in folder.children.items()
            if each.layer >= layer or each.children
        }
    return top.layer >= layer or bool(top.children)


def _parts(name: bytes) -> list[bytes]:
    parts = [each for each in name.split(b"/") if each not in (b"", b".")]
    if b".." in parts:
        raise NoTreeError(f"it has the name `{encode(name)}`, which leads out of it")
    if len(name) > _PATH_MOST or any(len(each) > _NAME_MOST for each in parts):
        raise NoTreeError("it has a name that is too long for a file")
    return parts
