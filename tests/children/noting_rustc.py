#!__PYTHON__ -IS
# Stands for rustc: writes down how it was called, and compiles the library without directives.
import json
import os
import sys

arguments = sys.argv[1:]
name = arguments[arguments.index("--crate-name") + 1] if "--crate-name" in arguments else "___"
if name in ("___", "build_script_build"):
    os.execvp(arguments[0], arguments)
noted = {"name": name, "arguments": arguments, "environment": dict(os.environ)}
with open(os.environ["NOTES"] + f"/rustc-{os.getpid()}", "w") as file:
    json.dump(noted, file)
if name != "sample" or "lib" not in arguments:
    sys.exit(1)  # It does not have to be compiled.
# The other targets wait for the library; it is compiled without what was said about it.
kept, words = [], iter(arguments)
for word in words:
    value = next(words) if word in ("-l", "-L", "-C", "--cfg", "--check-cfg") else None
    if value is None:
        kept.append(word)
    elif word == "-C" and not value.startswith("link-arg"):
        kept += [word, value]
variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
os.execvpe(kept[0], kept, variables)
