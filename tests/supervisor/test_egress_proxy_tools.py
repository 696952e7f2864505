"""Real tools through the egress proxy, in a network of two machines made for the test."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench import USERS, Bench, make_bench, wait_until
from tests.programs import program_text
from tests.supervisor.certificate import NAME, certificate

if TYPE_CHECKING:
    from tests.bench import Ended

# Public addresses, so that the proxy takes them for such; they exist between two namespaces only.
HERE, THERE, PRIVATE = "9.9.9.1", "9.9.9.9", "10.77.0.9"
SERVER = program_text("web_server.py")

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root makes networks"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="ip is not installed"),
    pytest.mark.timeout(240),
]


@functools.cache
def toolchain() -> Path:
    """Return where Cargo itself is: the one on PATH may be rustup's, which looks for a home."""
    ended = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, check=True)
    return Path(ended.stdout.decode().strip())


class NetworkBench(Bench):
    """A bench on the machine that the scripts are on."""

    holder = 0  # Whose namespaces these are.

    @property
    def sysroot(self) -> Path:
        return toolchain()

    def as_user(self) -> list[str]:
        enter = ["nsenter", "--target", str(self.holder), "--net", "--mount", "--"]
        return [*enter, *super().as_user()]


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    """Make what the server has: a file, a Git repository, a registry of crates, one of npm's."""
    folder = Path(tempfile.mkdtemp(prefix="buildperm-site-"))
    folder.chmod(0o755)
    www = folder / "www"
    www.mkdir()
    certificate(folder)
    (www / "file").write_text("content\n" * 10_000)
    work = folder / "work"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run("git", "init", "-q", work)
    run("git", "-C", work, *identity, "commit", "-q", "--allow-empty", "-m", "x")
    run("git", "clone", "-q", "--bare", work, www / "repo.git")
    run("git", "-C", www / "repo.git", "update-server-info")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in (
            ("foo-1.0.0/Cargo.toml", '[package]\nname = "foo"\nversion = "1.0.0"\n'),
            ("foo-1.0.0/src/lib.rs", ""),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    for path, content in {
        "index/config.json": json.dumps({"dl": f"https://{NAME}/dl/{{crate}}"}).encode(),
        "index/3/f/foo": json.dumps(
            {
                "name": "foo",
                "vers": "1.0.0",
                "deps": [],
                "cksum": hashlib.sha256(packed.getvalue()).hexdigest(),
                "features": {},
                "yanked": False,
            }
        ).encode(),
        "dl/foo": packed.getvalue(),
        "npm/foo": json.dumps(
            {
                "name": "foo",
                "dist-tags": {"latest": "1.0.0"},
                "versions": {"1.0.0": {"name": "foo", "version": "1.0.0"}},
            }
        ).encode(),
    }.items():
        (www / path).parent.mkdir(parents=True, exist_ok=True)
        (www / path).write_bytes(content)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def machine(site: Path) -> Iterator[int]:
    """Make both machines, start the server on one, and return the process that holds the other."""
    hosts = site / "hosts"
    hosts.write_text(
        f"127.0.0.1 localhost\n{THERE} {NAME} other.test\n{PRIVATE} inner.test\n"
        "127.0.0.1 local.test\n169.254.169.254 metadata.test\n"
    )
    (site / "nsswitch").write_text("hosts: files\n")
    held = f"mount --bind {hosts} /etc/hosts && exec sleep 600"
    with contextlib.ExitStack() as stack:
        sides = []
        for command in (
            ["unshare", "--net", "--mount", "sh", "-c", held],
            ["unshare", "--net", "sleep", "600"],
        ):
            holder = stack.enter_context(subprocess.Popen(command))
            stack.callback(holder.kill)
            sides.append(holder.pid)
        own = os.readlink("/proc/self/ns/net")
        for pid in sides:
            assert wait_until(lambda pid=pid: os.readlink(f"/proc/{pid}/ns/net") != own)  # type: ignore[misc]
        assert wait_until(
            lambda: Path(f"/proc/{sides[0]}/root/etc/hosts").read_bytes() == hosts.read_bytes()
        )
        here, there = (["nsenter", "--target", str(pid), "--net", "ip"] for pid in sides)
        run(
            *here,
            "link",
            "add",
            "out",
            "type",
            "veth",
            "peer",
            "name",
            "in",
            "netns",
            str(sides[1]),
        )
        for side, device, addresses in (
            (here, "out", (f"{HERE}/24", "10.77.0.1/24")),
            (there, "in", (f"{THERE}/24", f"{PRIVATE}/24")),
        ):
            run(*side, "link", "set", "lo", "up")
            for each in addresses:
                run(*side, "address", "add", each, "dev", device)
            run(*side, "link", "set", device, "up")
        server = subprocess.Popen(
            [
                *("nsenter", "--target", str(sides[1]), "--net", sys.executable, "-c", SERVER),
                *(site / "www", site / "certificate.pem", site / "key.pem"),
            ]
        )
        stack.enter_context(server)
        stack.callback(server.kill)
        assert wait_until((site / "www/ready").exists)
        yield sides[0]


@pytest.fixture(params=USERS)
def inside(request: pytest.FixtureRequest, machine: int) -> Iterator[NetworkBench]:
    for bench in make_bench(str(request.param)):
        found = NetworkBench.__new__(NetworkBench)
        for name in Bench.__slots__:
            setattr(found, name, getattr(bench, name))
        found.holder = machine
        yield found


def script(inside: NetworkBench, site: Path, body: str) -> Ended:
    shutil.copy(site / "certificate.pem", inside.package / "ca.pem")
    inside.grants.setdefault("net", [f"{NAME}:443", f"{NAME}:80"])
    prelude = program_text("runs_tools.py", NAME=NAME, TOOLCHAIN=repr(str(toolchain())))
    inside.environment = {"PATH": os.environ["PATH"]}
    return inside.run(inside.script(prelude + body), "learning")


TOOLS = {
    "curl": "run('curl', '-sS', '--fail', '--cacert', ca, url + '/file')",
    "curl, plain": "run('curl', '-sS', '--fail', 'http://example.test/file')",
    "curl, tunnel": "run('curl', '-sS', '--fail', '-p', 'http://example.test/file')",
    "python": (
        "run(sys.executable, '-c', 'import urllib.request as r, ssl, sys; '\n"
        "'print(len(r.urlopen(sys.argv[1], context=ssl.create_default_context('\n"
        "'cafile=sys.argv[2])).read()))', url + '/file', ca)"
    ),
    "git": "run('git', 'ls-remote', url + '/repo.git', GIT_SSL_CAINFO=ca)",
    "git clone": "run('git', 'clone', url + '/repo.git', out + '/r', GIT_SSL_CAINFO=ca)",
    "cargo": program_text("builds_with_cargo.py"),
    "npm": (
        "run('npm', 'view', 'foo', 'version', '--registry', url + '/npm/', npm_config_cafile=ca,\n"
        "    npm_config_update_notifier='false')"
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.quick(4)
def test_a_tool_gets_through_to_the_granted_host(
    inside: NetworkBench, site: Path, tool: str
) -> None:
    program = tool.partition(",")[0].partition(" ")[0]
    if program in ("npm", "cargo") and inside.uid:
        pytest.skip("installed for root only" if program == "cargo" else "once is enough")
    if program != "python" and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    ended = script(inside, site, TOOLS[tool])

    assert ended.stdout.split()[:1] == [b"0"], ended.stderr.decode()
    hosts = [each for each in ended.of("socket") if each["family"] == "host"]
    assert {each["address"] for each in hosts} <= {f"{NAME}:443", f"{NAME}:80"}
    assert not any(each.get("refused") for each in hosts)
    assert sum(each["sent"] for each in hosts) > 50
    assert sum(each["received"] for each in hosts) > 100


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("run('curl', '-sS', '-k', 'https://other.test/file')", "other.test:443"),
        ("run('curl', '-sS', '-k', 'https://inner.test/file')", f"{PRIVATE}:443"),
        ("run('curl', '-sS', '-k', 'https://local.test/file')", "127.0.0.1:443"),
        ("run('curl', '-sS', '-k', 'https://metadata.test/file')", "169.254.169.254:443"),
        # The name in TLS is another one than that of the tunnel.
        (
            "run('curl', '-sS', '-k', '--connect-to', 'other.test:443:example.test:443',\n"
            "    'https://other.test/file')",
            "other.test:443",
        ),
        (f"run('curl', '-sS', '-k', 'https://{THERE}/file')", f"{THERE}:443"),
        (f"run('curl', '-sS', '-k', '--noproxy', '*', 'https://{THERE}/file')", f"{THERE}:443"),
    ],
)
@pytest.mark.quick(3)
def test_no_tool_gets_elsewhere(inside: NetworkBench, site: Path, body: str, refused: str) -> None:
    inside.grants["net"] = [
        *(f"{NAME}:443", "inner.test:443", "local.test:443", "metadata.test:443"),
    ]
    ended = script(inside, site, body)

    assert ended.stdout.split()[:1] != [b"0"], ended
    assert refused in ended.refused("socket")
    assert not any(each.get("received") for each in ended.of("socket"))
