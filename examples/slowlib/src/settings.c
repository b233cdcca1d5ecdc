#include "slow.h"

#include <stdlib.h>
#include <string.h>

static long value_of(const char *settings, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = settings; *line;) {
        size_t line_len = strcspn(line, "\n");
        const char *equals = memchr(line, '=', line_len);
        if (equals != NULL) {
            long value = strtol(equals + 1, NULL, 10);
            if ((size_t)(equals - line) == len && memcmp(line, name, len) == 0) {
                return value;
            }
        }
        line += line_len + (line[line_len] == '\n');
    }
    return 0;
}

long slow_settings(const char *settings, char *const *names, size_t count)
{
    long sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += value_of(settings, names[i]);
    }
    return sum;
}
