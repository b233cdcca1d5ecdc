#include "slow.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *left, const void *right)
{
    Record a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    int order = strcmp(a.name, b.name);
    if (order != 0) {
        return order;
    }
    return (a.key > b.key) - (a.key < b.key);
}

void slow_sort(Record *records, size_t count)
{
    qsort(records, count, sizeof *records, by_name);
}
