"""The recorder looks at files that a script names, with the rights of the user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.bench import compile_c

if TYPE_CHECKING:
    from tests.bench import Bench

SWAPS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[4096], link_[4096], program[4096];

int main(void) {
    const char *out = getenv("OUT_DIR");
    snprintf(folder, sizeof folder, "%s/folder", out);
    snprintf(link_, sizeof link_, "%s/link", out);
    snprintf(program, sizeof program, "%s/folder/device", out);
    mkdir(folder, 0755);
    int file = open(program, O_CREAT | O_WRONLY, 0755);
    if (write(file, "#!/bin/sh\n", 10) != 10 || symlink(getenv("CARGO_PKG_NAME"), link_) != 0)
        return 1;
    close(file);
    pid_t swapper = fork();
    while (swapper == 0)
        syscall(SYS_renameat2, AT_FDCWD, folder, AT_FDCWD, link_, 2);  // RENAME_EXCHANGE
    char *arguments[] = {"device", NULL};
    for (time_t end = time(NULL) + 3; time(NULL) < end;)
        execv(program, arguments);
    kill(swapper, SIGKILL);
    waitpid(swapper, NULL, 0);
    if (unlink(link_) != 0)
        unlink(folder);
    return 0;
}
"""


def test_the_recorder_takes_nothing_out_of_a_pipe_that_a_script_points_it_to(bench: Bench) -> None:
    # What it was told is a program that could be run outside was a link to a device by the time
    # that its first line was read: what somebody typed was gone.
    lure = bench.top / "lure"
    lure.mkdir()
    os.mkfifo(lure / "device")
    (lure / "device").chmod(0o777)
    bench.environment = {"CARGO_PKG_NAME": str(lure)}
    pipe = os.open(lure / "device", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, b"typed")
        ended = bench.run(bench.install(compile_c(SWAPS, bench.top / "swaps")))

        assert ended.status == 0, ended.stderr
        assert os.read(pipe, 64) == b"typed"
    finally:
        os.close(pipe)
