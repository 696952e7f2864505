# Goes after attempted_calls.py: changes of owners and of set-user-ID bits.
out = os.environ["OUT_DIR"]
tries("read", lambda: open(os.environ["CARGO_MANIFEST_DIR"] + "/of-somebody").read())
open(out + "/given", "w").close()
tries("give", lambda: os.chown(out + "/given", 1234, 1234))
tries("mode", lambda: os.chmod(out + "/given", 0o600))
tries("write", lambda: open(out + "/given", "w").close())
tries("leave", lambda: os.setgroups([]) or os.setresgid(1234, 1234, 1234))
tries("become", lambda: os.setresuid(1234, 1234, 1234))
