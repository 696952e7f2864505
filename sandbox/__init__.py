"""Prepares the sandbox: runtimes, the seccomp filter, the stub, the self-test and the canaries."""
