/* Asks for some variables, and prints all that it was given. */
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(void) {
    char *const names[] = {__NAMES__};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        getenv(names[i]);
    for (char **each = environ; *each; each++)
        puts(*each);
    return 0;
}
