#include "slow.h"

long slow_find(const long *table, size_t count, long wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i] == wanted) {
            return (long)i;
        }
    }
    return -1;
}
