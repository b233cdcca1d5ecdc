#include "slow.h"

#include <string.h>

void slow_upper(char *text)
{
    for (size_t i = 0; i < strlen(text); i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            text[i] = (char)(text[i] - 'a' + 'A');
        }
    }
}
