"""Has rust-analyzer's server expand macros and prints what it made: `SERVER LIBRARY WANTED…`.

Where what is wanted is `MACRO:WORD,FOLDER,NAME=VALUE…`.
"""

import json
import os
import subprocess
import sys

server, library, *wanted = sys.argv[1:]
environ = {**os.environ, "RUST_ANALYZER_INTERNALS_DO_NOT_USE": "this is unstable"}
process = subprocess.Popen(
    [server, "--format", "json-legacy"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env=environ,
    close_fds=False,
)


def ask(subject, **details):
    process.stdin.write(json.dumps({subject: details}) + "\n")
    process.stdin.flush()
    (answer,) = json.loads(process.stdout.readline()).values()
    return answer


ask("ApiVersionCheck")
print(sorted(name for name, _ in ask("ListMacros", dylib_path=library)["Ok"]))
for each in wanted:
    (name, word), folder, *variables = each.split(",")[0].split(":"), *each.split(",")[1:]
    body = {"subtree": [0, 0, 0, 0, 0], "literal": [], "punct": [], "ident": [], "token_tree": []}
    if word:
        body = {**body, "subtree": [0, 0, 0, 0, 1], "ident": [0, 0, 0], "token_tree": [3]}
    answer = ask(
        "ExpandMacro",
        lib=library,
        macro_name=name,
        macro_body={**body, "text": [word] if word else []},
        attributes=None,
        current_dir=folder,
        env=[variable.split("=") for variable in variables],
        has_global_spans={"serialize": True, "def_site": 0, "call_site": 0, "mixed_site": 0},
        span_data_table=[0, 0, 0, 0, 0],
    )
    print(answer["Ok"]["text"][0] if "Ok" in answer else answer["Err"])
process.stdin.close()
sys.exit(process.wait())
