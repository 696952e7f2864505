# Goes after metadata_calls.py: times that are left out, and the present.
f = fresh(out + "/f")


def times(*numbers):
    os.utime(f, (5, 5))
    code = call("utimensat", CWD, text(f), specs(*numbers), 0)
    about = os.stat(f)
    return [code, about.st_atime, about.st_mtime]


found["omit first"] = times(0, OMIT, 77, 0)
found["omit second"] = times(66, 0, 0, OMIT)
found["omit both"] = times(0, OMIT, 0, OMIT)
found["now"] = times(0, NOW, 0, NOW)
found["mixed"] = times(0, NOW, -3, 0)
