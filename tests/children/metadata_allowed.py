# Goes after metadata_calls.py: every call, on files that the script may write.
for name in __BY_PATH__:
    for folder in (out, ws + "/gen", os.environ["TMPDIR"]):
        path = fresh(folder + "/f")
        before = look(path)
        code = make(name, CWD, path)
        found[f"{name} {os.path.basename(folder)}"] = [code, before, look(path)]
for name in __BY_DESCRIPTOR__:
    path = fresh(out + "/f")
    before = look(path)
    code = make(name, os.open(path, os.O_RDONLY), None)
    found[name] = [code, before, look(path)]
for name in ("utimensat", "futimesat"):
    if name in N:
        path = fresh(out + "/f")
        before = look(path)
        code = make(name, os.open(path, os.O_RDONLY), None)
        found[name + " NULL"] = [code, before, look(path)]
