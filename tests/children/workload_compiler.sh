# A compiler with an included file, an archive, a library, and a source that is absent.
printf '#include <stdio.h>\n#include "own.h"\n' >f.c
echo 'int f(void) {}' >>f.c
printf 'int f(void);\n' >own.h
for n in 1 2 3; do cc -O1 -c -o f$n.o f.c; done
ar rc libf.a f1.o f2.o
cc -shared -o libf.so f3.o
cc -c none.c 2>/dev/null
true
