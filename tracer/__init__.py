"""What a build script did: events, the ptrace recorder, system call tables, the recording file."""
