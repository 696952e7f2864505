"""Records a process tree with ptrace(2). Part of the trusted base: runs in the supervisor."""
