# Goes after metadata_calls.py: arguments that the kernel ignores.
f = fresh(out + "/f")
os.chmod(out, 0o777)
child = os.fork()
if not child:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    answers = [make("fchmodat", CWD, f), make("utimensat", CWD, f), make("fchownat", CWD, f)]
    own = out + "/own"
    open(own, "w").close()
    answers += [make("fchmodat", CWD, own), make("utimensat", CWD, own)]
    answers += [call("fchownat", CWD, text(own), 0, -1, 0)]
    os._exit(answers != [1, 1, 1, 0, 0, 1])
found["differs"] = os.waitpid(child, 0)[1]
found["mode"] = os.stat(f).st_mode & 0o7777
