#include "slow.h"

#include <stdlib.h>
#include <string.h>

typedef struct Entry Entry;
struct Entry {
    Entry *next;
    const char *word;
};

enum { BUCKETS = 1 << 16 };

static size_t hash(const char *word)
{
    return (unsigned char)word[0] + strlen(word);
}

size_t slow_distinct(char *const *words, size_t count)
{
    Entry **buckets = calloc(BUCKETS, sizeof *buckets);
    Entry *entries = calloc(count + 1, sizeof *entries);
    size_t different = 0;
    for (size_t i = 0; buckets && entries && i < count; i++) {
        size_t bucket = hash(words[i]) % BUCKETS;
        Entry *found = buckets[bucket];
        while (found != NULL && strcmp(found->word, words[i]) != 0) {
            found = found->next;
        }
        if (found == NULL) {
            entries[different] = (Entry){buckets[bucket], words[i]};
            buckets[bucket] = &entries[different++];
        }
    }
    free(entries);
    free(buckets);
    return different;
}
