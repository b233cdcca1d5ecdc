// Eight small functions, each with one defect that makes it slow. They are right; that is the
// point: a patch has to make them faster and leave them right.
#ifndef SLOW_H
#define SLOW_H

#include <stddef.h>

// The words with `between` after each, in memory that the caller frees.
char *slow_join(char *const *words, size_t count, char between);

enum { RECORD_NAME = 1000 };
typedef struct Record {
    char name[RECORD_NAME];
    long key;
} Record;
// By name, equal names by key.
void slow_sort(Record *records, size_t count);

// ASCII letters to capitals, in place.
void slow_upper(char *text);

// How many different words there are.
size_t slow_distinct(char *const *words, size_t count);

// The sum of what `settings` ("name=number" lines, the first of a name counts) say of the names;
// a name that is not there is 0.
long slow_settings(const char *settings, char *const *names, size_t count);

// The place of the first `wanted` in the sorted table, or -1.
long slow_find(const long *table, size_t count, long wanted);

// Lines and bytes of an open file, read to its end. -1 when it cannot be read.
int slow_lines(int file, long *ret_lines, long *ret_bytes);

// A checksum of the text that needs every byte in order, backwards.
unsigned long slow_checksum(const char *text, size_t len);

#endif
