# Goes after metadata_calls.py: attributes with a meaning for the kernel.
f = text(fresh(out + "/f"))
for name, value in {
    b"security.capability": __CAPABILITY__,
    b"security.selinux": b"x\0",
    b"trusted.x": b"x",
    b"system.posix_acl_access": __ACCESS__,
    b"user.y": b"x",
    b"system.other": b"x",
}.items():
    found[name.decode()] = call("setxattr", f, name, value, len(value), 0)
    outside = call("setxattr", text(ws + "/victim"), name, value, len(value), 0)
    found["outside " + name.decode()] = outside
    call("removexattr", f, name)
found["left"] = os.listxattr(f)
