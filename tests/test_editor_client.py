"""The Neovim client of the examples, in a real Neovim, on a real workspace."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.command import EXAMPLES, buildperm, environment, member

PLUGIN = EXAMPLES / "neovim"
SCRIPT = """
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let _ = std::fs::read_to_string("../data.txt");
    let _ = std::fs::read_to_string("../other/more.txt");
    let _ = std::process::Command::new("perl").arg("-e").arg("1").output();
}
"""
DRIVER = r"""
local client = require("buildperm")
local told, steps = {}, {}
vim.notify = function(text) table.insert(told, text) end
client.command = vim.json.decode(vim.env.CLIENT_COMMAND)

local function settled()
  assert(vim.wait(110000, function() return not client.is_busy end, 50), "busy for too long")
end

local function list()
  local found = {}
  for _, each in ipairs(vim.fn.getqflist()) do
    local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(each.bufnr), ":t")
    table.insert(found, name .. ":" .. each.lnum .. ": " .. each.text)
  end
  table.sort(found)
  table.insert(steps, found)
end

local function fail(text)
  local file = assert(io.open(vim.env.CLIENT_RESULT, "w"))
  file:write(vim.json.encode({ failed = text, told = told }))
  file:close()
  vim.cmd("qall!")
end

local function go(line)
  vim.cmd("edit! sample/build.rs")
  vim.api.nvim_win_set_cursor(0, { line, 0 })
end

local function play()
  vim.cmd("BuildpermPending")
  settled()
  list()
  go(1)
  vim.cmd("BuildpermDecide deny")
  go(4)
  vim.cmd("BuildpermDecide allow")
  settled()
  vim.wait(1000, function() return client.is_busy end, 20)
  settled()
  list()
  go(5)
  vim.cmd("BuildpermDecide deny")
  settled()
  vim.wait(1000, function() return client.is_busy end, 20)
  settled()
  list()
  go(6)
  vim.cmd("BuildpermDecide allow")
  local terminal = vim.api.nvim_get_current_buf()
  local function shown()
    return table.concat(vim.api.nvim_buf_get_lines(terminal, 0, -1, false), "\n")
  end
  local function asks() return shown():find("Answer", 1, true) ~= nil end
  assert(vim.wait(110000, asks, 50), shown())
  vim.fn.chansend(vim.bo[terminal].channel, "sample\n")
  assert(vim.wait(110000, function() return #client.questions == 0 end, 50), shown())
  settled()
  list()
  local file = assert(io.open(vim.env.CLIENT_RESULT, "w"))
  file:write(vim.json.encode({ told = told, steps = steps, terminal = shown() }))
  file:close()
  vim.cmd("qall!")
end

local fine, trouble = pcall(play)
if not fine then
  fail(tostring(trouble))
end
"""

pytestmark = pytest.mark.skipif(shutil.which("nvim") is None, reason="no nvim")


def _drive(workspace: Path, folder: Path) -> Any:  # noqa: ANN401 - JSON
    """Run the driver in an editor that has read nothing of the user's."""
    driver, result = folder / "driver.lua", folder / "result.json"
    driver.write_text(DRIVER)
    extra = {
        "CLIENT_COMMAND": json.dumps([sys.executable, "-m", "buildperm"]),
        "CLIENT_RESULT": str(result),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_STATE_HOME": str(folder),
        "TERM": "dumb",
    }
    words = ["nvim", "--headless", "-u", "NONE", "-i", "NONE", "-n"]
    words += ["--cmd", f"set runtimepath+={PLUGIN}", "-c", "runtime plugin/buildperm.lua"]
    told = subprocess.run(
        [*words, "-c", f"luafile {driver}"],
        cwd=workspace,
        env=environment(extra),
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=240,
    )
    assert result.exists(), told.stderr
    done = json.loads(result.read_text())
    assert "failed" not in done, done
    return done


@pytest.mark.slow
def test_questions_stand_beside_the_lines_that_ask_and_are_answered_there(tmp_path: Path) -> None:
    workspace = member(tmp_path / "ws", SCRIPT)
    (workspace / "other").mkdir()
    for name in ("data.txt", "other/more.txt"):
        (workspace / name).write_text("data")
    state = {"XDG_STATE_HOME": str(tmp_path)}  # As for the editor: answers count for one user.
    assert buildperm("learn", "--no-tui", folder=workspace, extra=state).returncode == 3

    done = _drive(workspace, tmp_path)

    before, allowed, denied, left = done["steps"]
    assert before == [
        "build.rs:4: sample 0.1.0 wants to read $WORKSPACE/data.txt (low)",
        "build.rs:5: sample 0.1.0 wants to read $WORKSPACE/other/more.txt (low)",
        "build.rs:6: sample 0.1.0 wants to run perl (high)",
    ]
    assert allowed == before[1:]
    assert denied == before[2:]
    assert not left
    assert "no question in this line" in " ".join(done["told"])
    assert "perl -e 1" in done["terminal"]
    grants = tomllib.loads((workspace / "Cargo.toml").read_text())["workspace"]["metadata"]
    sample = grants["buildperm"]["crates"]["sample"]
    assert sample["read"] == ["$WORKSPACE/data.txt"]
    assert sample["deny"] == {"read": ["$WORKSPACE/other/more.txt"]}
    assert sample["exec"] == ["perl"]
