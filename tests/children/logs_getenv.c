/* A library that writes down each variable which its process asks for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static char *told(const char *name) {
    char line[400];
    int log = open("__LOG__", O_WRONLY | O_CREAT | O_APPEND, 0600);
    int size = snprintf(line, sizeof line, "%s %s\n", program_invocation_short_name, name);
    write(log, line, size < sizeof line ? size : sizeof line - 1);
    close(log);
    size_t length = strlen(name);
    for (char **each = environ; *each; each++)
        if (!strncmp(*each, name, length) && (*each)[length] == '=')
            return *each + length + 1;
    return NULL;
}

char *getenv(const char *name) { return told(name); }
char *secure_getenv(const char *name) { return told(name); }
