"""Compiles a build script for WASI by rustc alone: held, and nothing of the crates runs meanwhile.

Cargo is only asked about the graph. So no configuration of a workspace has a say in what is run. A
script is left out if one of its build-dependencies, or theirs, is a procedural macro or has a build
script. What rustc may read is the tool chain, the system's libraries and the packages' own folders.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildperm.cargo import workspace_query
from buildperm.printable import log_text
from buildperm.sandbox import confined_command
from buildperm.supervisor import landlock

if TYPE_CHECKING:
    from buildperm.cargo.compile_rights import CompileRights
    from buildperm.cargo.project import Project

TARGET = "wasm32-wasip1"

_RUNNING = {"custom-build", "proc-macro"}
_LIBRARIES = {"lib", "rlib"}
_SYSTEM = (b"/usr", b"/lib", b"/lib64", b"/bin", b"/etc/ld.so.cache", b"/etc/ld.so.preload")
_DEVICES = (b"/dev/null", b"/dev/urandom")
_SECONDS = 300
_SAID_MOST = 200  # Letters.
_READ_MOST = 1 << 20  # Bytes of what it says.
_MODULE_MOST = 64 << 20  # Bytes.


class NotCompiledError(Exception):
    """There is no module; the text says why, as a clause."""


@dataclass(frozen=True, slots=True)
class _Crate:
    """One crate to compile."""

    package: Mapping[str, Any]  # As `cargo metadata` has it.
    target: Mapping[str, Any]
    features: Sequence[str]
    needs: Mapping[str, str]  # Package IDs by the names under which it knows them.

    @property
    def folder(self) -> Path:
        return Path(self.package["manifest_path"]).parent

    @property
    def name(self) -> str:
        return str(self.target["name"]).replace("-", "_")


class ScriptModules:
    """Makes modules of the build scripts of one workspace."""

    def __init__(self, project: Project, rights: CompileRights, target: str = TARGET) -> None:
        """Ask Cargo about the graph, as the build was.

        Args:
            project: The workspace.
            rights: What compiling may read of it natively: no keys, and nothing of its neighbours.
            target: The triple to compile for.

        Raises:
            BuildpermError: Cargo cannot be asked.
        """
        self._toolchain = project.toolchain
        self._metadata = project.metadata
        self._rights = rights
        self._target = target
        words = ["metadata", "--format-version", "1"]
        words += ["--filter-platform", project.toolchain.host]
        if project.arguments.manifest_path is not None:
            words += ["--manifest-path", str(project.arguments.manifest_path)]
        told = json.loads(
            workspace_query.ask(
                project.toolchain,
                project.folder,
                project.environment,
                [*words, *project.arguments.metadata],
            )
        )
        self._packages = {each["id"]: each for each in told["packages"]}
        self._nodes = {each["id"]: each for each in told["resolve"]["nodes"]}
        self._folders = {
            os.fsencode(os.path.realpath(os.path.dirname(each["manifest_path"]))): each["id"]
            for each in told["packages"]
        }

    def compile(self, package: bytes, features: Sequence[str], scratch: Path) -> bytes:
        """Compile the build script of a package; return the module.

        Args:
            package: Its folder, without links.
            features: Those of the package, as the native script was compiled.
            scratch: An empty folder.

        Raises:
            NotCompiledError: It does not compile, or something would run meanwhile.
            OSError: Something cannot be written or started.
        """
        key = self._folders.get(package)
        scripts = [
            target
            for target in (self._packages[key]["targets"] if key else ())
            if "custom-build" in target["kind"]
        ]
        if key is None or len(scripts) != 1:
            raise NotCompiledError("Cargo does not say what it is made of")
        script = _Crate(self._packages[key], scripts[0], features, self._needs(key, "build"))
        made: dict[str, Path] = {}
        for each, crate in self._in_order(script.needs):
            made[each] = self._rustc(crate, "rlib", scratch, made, each)
        return self._rustc(script, "bin", scratch, made, key).read_bytes()

    def _needs(self, key: str, kind: str | None) -> dict[str, str]:
        return {
            each["name"]: each["pkg"]
            for each in self._nodes[key]["deps"]
            if any(of["kind"] == kind for of in each["dep_kinds"])
        }

    def _in_order(self, needs: Mapping[str, str]) -> Iterator[tuple[str, _Crate]]:
        """Yield the libraries that are needed, each after what it needs itself."""
        done: set[str] = set()
        pending = [(each, False) for each in needs.values()]
        while pending:
            key, is_last = pending.pop()
            if key in done:
                continue
            package, wanted = self._packages[key], self._needs(key, None)
            kinds = {kind for target in package["targets"] for kind in target["kind"]}
            if kinds & _RUNNING:
                raise NotCompiledError(f"compiling {package['name']} would run code")
            if not is_last:
                pending += [(key, True), *((each, False) for each in wanted.values())]
                continue
            libraries = [each for each in package["targets"] if _LIBRARIES & {*each["kind"]}]
            if not libraries:
                raise NotCompiledError(f"{package['name']} has no library")
            done.add(key)
            yield key, _Crate(package, libraries[0], self._nodes[key]["features"], wanted)

    def _rustc(
        self, crate: _Crate, kind: str, scratch: Path, made: Mapping[str, Path], key: str
    ) -> Path:
        unique = hashlib.sha256(key.encode()).hexdigest()[:16]
        out = scratch / (f"lib{crate.name}-{unique}.rlib" if kind == "rlib" else "script.wasm")
        rustc = str(self._toolchain.rustc)
        words = [rustc, str(crate.target["src_path"]), "--target", self._target]
        words += ["--crate-name", crate.name, "--crate-type", kind, "-o", str(out)]
        words += ["--edition", str(crate.target["edition"]), "--cap-lints", "allow"]
        words += ["-C", f"metadata={unique}", "-C", "debuginfo=0", "-L", f"dependency={scratch}"]
        words += ["-C", f"debug-assertions={'on' if kind == 'bin' else 'off'}"]
        for feature in crate.features:
            words += ["--cfg", f"feature={json.dumps(feature, ensure_ascii=False)}"]
        for name, needed in sorted(crate.needs.items()):
            words += ["--extern", f"{name}={made[needed]}"]
        (scratch / "tmp").mkdir(exist_ok=True)
        # A wrapper may lie anywhere: what is around it is not the tool chain.
        tools = [os.fsencode(self._toolchain.sysroot), os.fsencode(os.path.realpath(rustc))]
        confined = confined_command.words(
            words,
            _variables(crate, scratch),
            runs=[*_SYSTEM, *tools],
            reads=[*_DEVICES, b"/proc/self", *self._sources(crate)],
            writes=[os.fsencode(scratch), b"/dev/null"],
        )
        said = scratch / "said"
        code = _ended(confined, crate.folder, said)
        if code or not out.is_file():
            with said.open("rb") as file:
                lines = file.read(_READ_MOST).decode("utf-8", "replace").splitlines()
            errors = [line for line in lines if line.startswith("error")] or lines[-1:]
            told = log_text(errors[0])[:_SAID_MOST] if errors else "it said nothing"
            raise NotCompiledError(f"{crate.package['name']} does not compile: {told}")
        if out.stat().st_size > _MODULE_MOST:
            raise NotCompiledError(
                f"{crate.package['name']} has more than {_MODULE_MOST >> 20} MiB"
            )
        return out

    def _sources(self, crate: _Crate) -> list[bytes]:
        """Name what compiling a crate may read besides the tool chain."""
        package = self._metadata.packages.get(crate.package["id"])
        if package is None:
            raise NotCompiledError("Cargo does not say what it is made of")
        if package.source:  # It was published, with all that is in it.
            return [os.fsencode(crate.folder)]
        own = self._rights.own(package)
        return [path for path, allowed in own.rights.items() if allowed & landlock.READ_FILE]


def _ended(command: Sequence[str], folder: Path, said: Path) -> int:
    """Run a compiler and what it starts, with no more than so much time; return its exit code."""
    with said.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=confined_command.own_variables(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
        try:
            return process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotCompiledError("its compiler takes too long") from None
        finally:
            if process.returncode is None:  # Linkers as well.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _variables(crate: _Crate, scratch: Path) -> dict[str, str]:
    """Return the environment of rustc: what Cargo tells a compiler of the package, and no more."""
    package = crate.package
    version, _, pre = str(package["version"]).partition("+")[0].partition("-")
    major, minor, patch = version.split(".")
    told = {
        "MANIFEST_DIR": str(crate.folder),
        "MANIFEST_PATH": str(package["manifest_path"]),
        "CRATE_NAME": crate.name,
        "PKG_NAME": package["name"],
        "PKG_VERSION": package["version"],
        "PKG_VERSION_MAJOR": major,
        "PKG_VERSION_MINOR": minor,
        "PKG_VERSION_PATCH": patch,
        "PKG_VERSION_PRE": pre,
        "PKG_AUTHORS": ":".join(package["authors"]),
        "PKG_DESCRIPTION": package["description"] or "",
        "PKG_HOMEPAGE": package["homepage"] or "",
        "PKG_REPOSITORY": package["repository"] or "",
        "PKG_LICENSE": package["license"] or "",
        "PKG_RUST_VERSION": package.get("rust_version") or "",
    }
    found = {f"CARGO_{name}": value for name, value in told.items()}
    return found | {"PATH": "/usr/bin:/bin", "TMPDIR": str(scratch / "tmp"), "HOME": str(scratch)}
