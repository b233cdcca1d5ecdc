#include "slow.h"

#include <stdlib.h>
#include <string.h>

char *slow_join(char *const *words, size_t count, char between)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(words[i]) + 1;
    }
    char *text = malloc(bytes);
    if (text == NULL) {
        return NULL;
    }
    char mark[2] = {between, 0};
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        strcat(text, words[i]);
        strcat(text, mark);
    }
    return text;
}
