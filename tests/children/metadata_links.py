# Goes after metadata_calls.py: calls that change a link itself.
os.symlink(ws + "/victim", out + "/link")
os.symlink("f", ws + "/gen/link")
for path in (out + "/link", ws + "/gen/link", pkg + "/link"):
    where = os.path.basename(os.path.dirname(path))
    if "lchown" in N:
        found["lchown " + where] = make("lchown", CWD, path)
    found["fchownat " + where] = make("fchownat", CWD, path, NOFOLLOW)
    found["utimensat " + where] = make("utimensat", CWD, path, NOFOLLOW)
    found["fchmodat2 " + where] = make("fchmodat2", CWD, path, NOFOLLOW)
    found["lsetxattr " + where] = make("lsetxattr", CWD, path)
found["times"] = os.lstat(out + "/link").st_mtime_ns
