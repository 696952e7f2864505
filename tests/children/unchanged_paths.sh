# Opens files by links, by devices and by paths with `.` and `..`: nothing here is a race.
cat link/file real/../link/./file chain //etc//hostname /proc/self/status /dev/fd/3 \
    3<real/file >/dev/null
cat /dev/stdin </dev/null
: 3>chain
