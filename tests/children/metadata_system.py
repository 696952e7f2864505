# Goes after metadata_calls.py: files of the system.
found["mode"] = make("fchmodat", CWD, "/etc/passwd")
found["times"] = make("utimensat", CWD, "/etc/passwd")
found["now"] = call("utimensat", CWD, b"/etc/passwd", None, 0)
found["attribute"] = call("setxattr", b"/etc/passwd", b"user.x", b"x", 1, 0)
found["owner"] = call("fchownat", CWD, b"/etc/passwd", os.getuid(), -1, 0)
found["nobody"] = call("fchownat", CWD, b"/etc/passwd", -1, -1, 0)
found["given away"] = call("fchownat", CWD, text(ws + "/victim"), 0, 0, 0)
found["kept"] = call("fchownat", CWD, text(ws + "/victim"), os.getuid(), os.getgid(), 0)
