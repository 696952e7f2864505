# Becomes a compiler that may use some folders only: COUNT FOLDER… COMPILER ARGUMENT…
import os
import sys

from buildperm.supervisor import landlock, syscalls

count = int(sys.argv[1])
folders, command = sys.argv[2 : 2 + count], sys.argv[2 + count :]
abi = landlock.abi()
rules = landlock.ruleset(abi)
for folder in folders:
    landlock.allow(rules, os.fsencode(os.path.realpath(folder)), landlock.file_rights(abi), abi)
syscalls.control(syscalls.PR_SET_NO_NEW_PRIVS, 1)
landlock.restrict(rules)
os.execv(command[0], command)
