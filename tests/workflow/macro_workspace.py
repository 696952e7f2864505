"""A workspace with procedural macros, and what supervisors would have recorded of them.

Cargo builds it for real. What its macros did is written down by hand, with the writer that
supervisors use, so that each test says what it was.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildperm.cargo import session_maker
from buildperm.cargo.grant_keys import GrantKeys
from buildperm.cargo.supervised_build import SupervisedBuild, SupervisedBuildResult
from buildperm.cargo.units import Unit
from buildperm.policy.proposal import Risk
from buildperm.workflow.enforced_build import EnforcementOptions, build
from buildperm.workflow.learning import Learning
from buildperm.workflow.report_outputs import ReportOutputs
from buildperm.workflow.review_check import check
from buildperm.workflow.review_options import ReviewOptions
from buildperm.workflow.workspace import open_contexts
from tests.policy.macro_recordings import Act, record
from tests.registry import Registry

if TYPE_CHECKING:
    from buildperm.cargo.lock import CargoLock
    from buildperm.cargo.metadata import Metadata
    from buildperm.policy.grants import Policy
    from buildperm.supervisor.session import Session, SessionMacros

MACROS = """
extern crate proc_macro;
#[proc_macro]
pub fn query(input: proc_macro::TokenStream) -> proc_macro::TokenStream { input }
"""
MANIFEST = """
[package]
name = "{name}"
version = "{version}"
edition = "2021"
[lib]
proc-macro = true
"""


@dataclass
class MacroWorkspace:
    """Two members, `api` and `web`, and `elsewhere` from the registry, that use two macros."""

    root: Path
    registry: Registry
    did: dict[tuple[str, str, str], Sequence[Act]] = field(default_factory=dict)
    """By crate, subject and consumer: what is in its recordings from now on."""

    def learn(self, command: str = "learn", accept: Risk | None = Risk.MEDIUM) -> int:
        """Learn without asking."""
        return self.learning(command, accept).run()

    def learning(self, command: str = "learn", accept: Risk | None = Risk.MEDIUM) -> Learning:
        """Return a command that has not begun."""
        options = ReviewOptions(command, accept, prune="now")
        return Learning(open_contexts(()), options, None)

    def ci(
        self, form: str = "text", *, require_reviewed: bool = False, unused: bool = False
    ) -> int:
        """Build enforcing; the report goes to standard output."""
        options = EnforcementOptions(
            None,
            allow_wider=False,
            require_reviewed=require_reviewed,
            deny_unused=unused,
            is_warning=False,
            observes_all=False,
        )
        return build(("check",), ReportOutputs(form, ()), options)

    def check(self) -> int:
        """Tell whether everything is as it was reviewed."""
        return check((), ReportOutputs(None, ()), against=None, allow_wider=False)

    @property
    def manifest(self) -> str:
        """Return what Cargo.toml says."""
        return (self.root / "Cargo.toml").read_text()

    @property
    def lock(self) -> str:
        """Return what buildperm.lock says."""
        return (self.root / "buildperm.lock").read_text()

    def units(self, made: SupervisedBuild) -> list[Unit]:
        """Write the recordings, and return the units that they are of."""
        packages = {each.name: each for each in made.project.metadata.packages.values()}
        found = []
        for (crate, subject, consumer), acts in self.did.items():
            about = packages[consumer or crate]
            place = f"{subject}-{crate}-{consumer}"
            folder = made.target.folder / "buildperm-compile" / place
            (folder / "buildperm").mkdir(parents=True, exist_ok=True)
            places = {
                **{name: os.fsdecode(path) for name, path in made.session["places"].items()},
                "MANIFEST_DIR": str(about.folder),
                "TMP": str(folder / "scratch"),
            }
            package = packages[crate]
            record(
                folder / "buildperm" / "recording.jsonl",
                *acts,
                subject=subject,
                consumer=consumer,
                crate=crate,
                crate_version=package.version,
                source=package.source,
                checksum=made.project.lock.checksum(package.name, package.version, package.source),
                mode=made.session["profile"],
                places=places,
            )
            found.append(
                Unit(
                    folder,
                    os.fsencode(package.folder),
                    made.project.toolchain.host,
                    "debug",
                    (),
                    0,
                    subject,
                    consumer,
                )
            )
        return found


@pytest.fixture
def macros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MacroWorkspace:
    registry = Registry(tmp_path / "registry")
    for name in ("sqlx-macros", "serde_derive"):
        files = {
            "Cargo.toml": MANIFEST.format(name=name, version="0.8.0"),
            "src/lib.rs": MACROS,
        }
        registry.publish(name, "0.8.0", files)
    needed = {"sqlx-macros": "0.8", "serde_derive": "0.8"}
    registry.publish("elsewhere", "1.0.0", dependencies=needed)
    root = registry.application(
        tmp_path / "ws", dependencies={**needed, "elsewhere": "1"}, name="api"
    )
    (root / "web/src").mkdir(parents=True)
    (root / "web/src/lib.rs").write_text("")
    (root / "web/Cargo.toml").write_text(
        (root / "api/Cargo.toml").read_text().replace('name = "api"', 'name = "web"')
    )
    (root / "Cargo.toml").write_text('[workspace]\nmembers = ["api", "web"]\nresolver = "2"\n')
    registry.cargo("generate-lockfile", folder=root)
    found = MacroWorkspace(root, registry)
    for name, value in registry.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CARGO_NET_OFFLINE", "true")
    monkeypatch.chdir(root)
    _pretend(found, monkeypatch)
    return found


def _pretend(workspace: MacroWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run, make = SupervisedBuild.run, session_maker.make

    def with_macros(made: SupervisedBuild, doubtful: Collection[str] = ()) -> SupervisedBuildResult:
        result = run(made, doubtful)
        scripts = [unit for unit in result.units if unit.subject == "script"]
        return SupervisedBuildResult(result.finished, (*scripts, *workspace.units(made)))

    def with_session(
        metadata: Metadata,
        lock: CargoLock,
        policy: Policy,
        *more: Any,  # noqa: ANN401 - passed on
        **named: Any,  # noqa: ANN401 - passed on
    ) -> Session:
        session = make(metadata, lock, policy, *more, **named)
        keys = GrantKeys(metadata, lock, policy, session["places"])
        packages = metadata.packages.values()
        session["consumers"] = {
            os.fsencode(each.folder): {
                "crate": keys.of(each)[0],
                "name": each.name,
                "version": each.version,
                "source": each.source,
            }
            for each in packages
        }
        session["macros"] = {}
        for each in packages:
            if each.macro_source is None:
                continue
            grants = keys.of(each)[1]
            named_ones = grants.consumers if grants else frozenset()
            described: SessionMacros = {
                **session_maker.describe(each, metadata, lock, keys),
                "for": [os.fsencode(p.folder) for p in packages if keys.is_meant(p, named_ones)],
            }
            session["macros"][os.fsencode(each.folder)] = described
        return session

    monkeypatch.setattr(SupervisedBuild, "run", with_macros)
    monkeypatch.setattr(session_maker, "make", with_session)
