# Goes after warns_of_attempts.py: reads what /proc says of processes.
attempt("self", lambda: open("/proc/self/environ"))
attempt("number", lambda: open(f"/proc/{os.getpid()}/environ"))
child = os.fork()
if child == 0:
    attempt("parent", lambda: open(f"/proc/{os.getppid()}/environ"))
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
