# Goes after attempted_calls.py: functions that read, write and run a path.
import subprocess


def reads(path):
    return lambda: open(path).read()


def writes(path):
    return lambda: open(path, "w").write("made")


def runs(path):
    return lambda: subprocess.run([path], check=True)
