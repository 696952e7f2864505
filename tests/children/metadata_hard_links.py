# Goes after metadata_calls.py: files that have two names.
found["inside"] = make("fchmodat", CWD, ws + "/gen/twin")
found["outside"] = make("fchmodat", CWD, ws + "/twin")
fresh(out + "/f")
os.link(out + "/f", out + "/g")
found["own"] = make("fchmodat", CWD, out + "/g")
try:
    os.link(ws + "/victim", out + "/stolen")
except OSError as error:
    found["stolen"] = error.errno
