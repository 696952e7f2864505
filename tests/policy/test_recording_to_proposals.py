"""From a real process tree to proposals: recorded, folded, proposed."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildperm.policy.access import Access, Outcome
from buildperm.policy.fold import fold
from buildperm.policy.kinds import Kind
from buildperm.policy.proposal import Proposal, Risk
from buildperm.policy.proposals import propose
from buildperm.tracer import syscall_numbers, syscall_table
from buildperm.tracer.notation import encode
from buildperm.tracer.recording import reader

HARNESS = Path(__file__).parents[1] / "tracer" / "harness.py"


class RecordedWorkspace:
    """A workspace, a home and an output folder, and a script that runs between them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = {
            token: os.fsencode(root / name)
            for token, name in (
                ("OUT_DIR", "target/debug/build/a-1/out"),
                ("TMP", "target/debug/build/a-1/buildperm/scratch"),
                ("MANIFEST_DIR", "workspace/a"),
                ("WORKSPACE", "workspace"),
                ("TARGET_DIR", "target"),
                ("HOME", "home"),
            )
        }
        for place in self.places.values():
            os.makedirs(place, exist_ok=True)

    def run(self, script: str) -> list[Access]:
        """Record `script`, a shell program, and fold what it did."""
        program = self.root / "target/debug/build/a-1/buildperm/program"
        shutil.copy2(os.path.realpath("/bin/sh"), program)
        numbers = syscall_numbers.table()
        known = [name for name in syscall_table.recorded() if name in numbers]
        environment = {
            os.fsencode(token): place for token, place in self.places.items() if token != "HOME"
        }
        spec = {
            "argv": [os.fsencode(program), b"-c", script.encode()],
            "env": environment | {b"PATH": b"/usr/bin:/bin", b"H": self.places["HOME"]},
            "filter": {numbers[name]: 0 for name in known},
            "calls": {numbers[name]: name for name in known},
            "caps": {},
            "withheld": [],
            "library": b"",
            "process_limit": 0,
            "stop_after_s": 0,
            "readable": [],
            "writable": [],
            "header": self._header(),
            "recording": os.fsencode(self.root / "recording.jsonl"),
        }
        (self.root / "spec").write_bytes(marshal.dumps(spec))
        subprocess.run(
            [sys.executable, "-IS", HARNESS, self.root / "spec"],
            check=True,
            timeout=60,
            capture_output=True,
        )
        return fold(reader.read(self.root / "recording.jsonl"))

    def propose(self, script: str) -> list[Proposal]:
        """Record `script` and propose what is beyond the baseline."""
        return propose("a", "1.0.0", self.run(script))

    def _header(self) -> dict[str, object]:
        texts = str.split(
            "crate name crate_version source checksum target host profile kernel runtime mode "
            "buildperm session"
        )
        places = {token: encode(place) for token, place in self.places.items()}
        return {
            **dict.fromkeys(texts, ""),
            "features": [],
            "landlock_abi": 7,
            "places": places,
            "path": "/usr/bin:/bin",
        }


@pytest.fixture
def workspace(tmp_path: Path) -> RecordedWorkspace:
    return RecordedWorkspace(tmp_path)


def test_a_script_that_minds_its_own_business_asks_nothing(workspace: RecordedWorkspace) -> None:
    (workspace.root / "workspace/a/in").write_text("x")

    assert workspace.propose('read x < "$MANIFEST_DIR/in"; echo "$x" > "$OUT_DIR/out"') == []


@pytest.mark.skipif(not Path("/usr/bin/cc").exists(), reason="there is no C compiler")
def test_compiling_c_is_one_question(workspace: RecordedWorkspace) -> None:
    (workspace.root / "workspace/a/a.c").write_text("#include <stdio.h>\nint f(void);\n")
    (proposal,) = workspace.propose(
        'export TMPDIR="$TMP"; cc -c "$MANIFEST_DIR/a.c" -o "$OUT_DIR/a.o" &&'
        ' ar rcs "$OUT_DIR/liba.a" "$OUT_DIR/a.o"'
    )

    assert proposal.choices[0].preset == "cc"
    assert proposal.risk is Risk.MEDIUM
    assert {"cc", "ar", "as"} <= {access.target for access in proposal.evidence}
    compiler = next(access for access in proposal.evidence if access.target.endswith("/cc1"))
    assert compiler.chains[0][0] == "build script"
    assert compiler.chains[0][-1] == "cc1"


def test_what_was_read_and_written_elsewhere_is_asked_about(workspace: RecordedWorkspace) -> None:
    for name in ("proto/a.proto", "proto/b.proto"):
        (workspace.root / "workspace" / name).parent.mkdir(exist_ok=True)
        (workspace.root / "workspace" / name).write_text("x")
    read, written = sorted(
        workspace.propose(
            'for f in "$WORKSPACE"/proto/*; do read x < "$f"; done;'
            'echo x > "$WORKSPACE/generated.txt"'
        ),
        key=lambda proposal: proposal.risk,
    )

    assert read.risk is Risk.LOW
    assert ["$WORKSPACE/proto/**"] in [
        [rule.pattern for rule in each.rules] for each in read.choices
    ]
    assert written.title == "write $WORKSPACE/generated.txt"
    assert written.risk is Risk.HIGH


def test_a_probe_of_a_key_is_critical_even_if_there_is_none(workspace: RecordedWorkspace) -> None:
    accesses = workspace.run('read x < "$H/.ssh/id_ed25519"; read x < "$H/absent"')
    (proposal,) = propose("a", "1.0.0", accesses)

    assert proposal.risk is Risk.CRITICAL
    assert proposal.locked
    assert [access.target for access in proposal.evidence] == ["$HOME/.ssh/id_ed25519"]
    assert proposal.evidence[0].outcome is Outcome.FAILED


def test_a_program_that_the_script_made_says_so(workspace: RecordedWorkspace) -> None:
    proposals = workspace.propose(
        'printf "#!/bin/sh\\n" > "$OUT_DIR/made"; chmod +x "$OUT_DIR/made"; "$OUT_DIR/made"'
    )
    made = next(p for p in proposals if "$OUT_DIR/made" in p.title)

    assert any("written by the script" in reason for reason in made.notes)
    assert any(access.kind is Kind.EXEC for access in made.evidence)
