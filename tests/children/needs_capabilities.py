# Goes after attempted_calls.py: calls that need a capability.
def raises(which):
    try:
        resource.setrlimit(which, (resource.RLIM_INFINITY,) * 2)
    except ValueError as error:  # What Python makes of EPERM here.
        raise PermissionError(1, str(error)) from error


tries("firewall", lambda: socket.socket().setsockopt(0, 64, bytes(96)))  # IPT_SO_SET_REPLACE
tries("mark", lambda: socket.socket().setsockopt(1, 36, 1))  # SO_MARK
tries("core", lambda: raises(resource.RLIMIT_CORE))
tries("size", lambda: raises(resource.RLIMIT_FSIZE))
tries("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
tries("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
