# Goes after metadata_calls.py: every call, in every way, on a file that the script may not write.
victim = ws + "/victim"
os.symlink(victim, out + "/link")
os.symlink("../../../../../victim", out + "/relative")
os.symlink(ws, out + "/folder")
os.mkdir(out + "/d")
inner = os.open(out + "/d", os.O_RDONLY)
plain = os.open(victim, os.O_RDONLY)
named = os.open(victim, os.O_PATH)
dots = "../../../../../../victim"
assert os.path.samefile(out + "/d/" + dots, victim)
assert os.path.samefile(out + "/relative", victim)
for name in __BY_PATH__:
    found[name + " path"] = make(name, CWD, victim)
    found[name + " folder"] = make(name, CWD, out + "/folder/victim")
    found[name + " dots"] = make(name, CWD, out + "/d/" + dots)
    found[name + " root"] = make(name, CWD, "//" + victim)
for name in __FOLLOWING__:
    found[name + " link"] = make(name, CWD, out + "/link")
    found[name + " relative link"] = make(name, CWD, out + "/relative")
    for kind in ("self", "thread-self", str(os.getpid())):
        found[f"{name} /proc/{kind}"] = make(name, CWD, f"/proc/{kind}/fd/{plain}")
    found[name + " /dev/fd"] = make(name, CWD, f"/dev/fd/{named}")
    found[name + " /proc/self/root"] = make(name, CWD, "/proc/self/root" + victim)
    found[name + " /proc/self/cwd"] = make(name, CWD, "/proc/self/cwd/../victim")
for name in __RELATIVE__:
    found[name + " at"] = make(name, inner, dots)
    found[name + " at link"] = make(name, inner, "../folder/victim")
for name in __BY_DESCRIPTOR__:
    found[name] = make(name, plain, None)
for name in __EMPTY__:
    found[name + " empty"] = make(name, plain, "", EMPTY)
    found[name + " empty O_PATH"] = make(name, named, "", EMPTY)
for name in ("utimensat", "futimesat"):
    if name in N:
        found[name + " NULL"] = make(name, plain, None)
if "setxattrat" in N:
    found["setxattrat empty"] = make("setxattrat", plain, "", EMPTY)
    found["setxattrat null"] = make("setxattrat", plain, None, EMPTY)
    found["removexattrat empty"] = make("removexattrat", plain, "", EMPTY)
os.chdir(ws)
for name in __BY_PATH__:
    found[name + " cwd"] = make(name, CWD, "victim")
for name in __EMPTY__:
    found[name + " empty cwd"] = make(name, CWD, "", EMPTY)
