// slow FUNCTION FILE: one of the functions on the lines of a file, and what came out.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slow.h"

typedef struct Input {
    char *text;
    size_t len;
    char **lines;
    size_t count;
} Input;

static void fail(const char *what)
{
    fprintf(stderr, "slow: %s\n", what);
    exit(1);
}

static void *have(void *memory)
{
    if (memory == NULL) {
        fail("no memory");
    }
    return memory;
}

static char *read_all(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail("cannot open the file");
    }
    size_t len = 0, room = 1 << 16;
    char *text = have(malloc(room));
    for (size_t got; (got = fread(text + len, 1, room - len - 1, file)) > 0;) {
        len += got;
        if (len + 1 == room) {
            room *= 2;
            text = have(realloc(text, room));
        }
    }
    fclose(file);
    text[len] = 0;
    *ret_len = len;
    return text;
}

// Cuts the text at its newlines.
static void split(Input *in)
{
    size_t room = 16;
    in->lines = have(malloc(room * sizeof *in->lines));
    for (char *at = in->text; *at;) {
        if (in->count == room) {
            room *= 2;
            in->lines = have(realloc(in->lines, room * sizeof *in->lines));
        }
        in->lines[in->count++] = at;
        at += strcspn(at, "\n");
        if (*at) {
            *at++ = 0;
        }
    }
}

static unsigned long fnv(const char *text)
{
    unsigned long hash = 14695981039346656037UL;
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * 1099511628211UL;
    }
    return hash;
}

static void run_join(Input *in)
{
    split(in);
    char *text = have(slow_join(in->lines, in->count, ','));
    printf("%zu %016lx\n", strlen(text), fnv(text));
    free(text);
}

static void run_sort(Input *in)
{
    split(in);
    Record *records = have(calloc(in->count + 1, sizeof *records));
    for (size_t i = 0; i < in->count; i++) {
        size_t len = strnlen(in->lines[i], RECORD_NAME - 1);
        memcpy(records[i].name, in->lines[i], len);
        records[i].key = (long)i;
    }
    slow_sort(records, in->count);
    unsigned long hash = 0;
    for (size_t i = 0; i < in->count; i++) {
        hash = hash * 31 + (fnv(records[i].name) ^ (unsigned long)records[i].key);
    }
    printf("%zu %016lx\n", in->count, hash);
    free(records);
}

static void run_upper(Input *in)
{
    slow_upper(in->text);
    printf("%016lx\n", fnv(in->text));
}

static void run_distinct(Input *in)
{
    split(in);
    printf("%zu\n", slow_distinct(in->lines, in->count));
}

// Settings, an empty line, then the names that are asked for.
static void run_settings(Input *in)
{
    char *names = strstr(in->text, "\n\n");
    if (names == NULL) {
        printf("0\n");
        return;
    }
    char *settings = in->text;
    Input asked = {.text = names + 2};
    names[1] = 0;
    split(&asked);
    printf("%ld\n", slow_settings(settings, asked.lines, asked.count));
    free(asked.lines);
}

static int by_value(const void *left, const void *right)
{
    long a = *(const long *)left, b = *(const long *)right;
    return (a > b) - (a < b);
}

// Every number is looked for in the table that the even ones make.
static void run_find(Input *in)
{
    split(in);
    long *table = have(calloc(in->count + 1, sizeof *table));
    size_t count = 0;
    for (size_t i = 0; i < in->count; i++) {
        long value = strtol(in->lines[i], NULL, 10);
        if (value % 2 == 0) {
            table[count++] = value;
        }
    }
    qsort(table, count, sizeof *table, by_value);
    unsigned long hash = 0;
    for (size_t i = 0; i < in->count; i++) {
        hash = hash * 31 + (unsigned long)slow_find(table, count, strtol(in->lines[i], NULL, 10));
    }
    printf("%zu %016lx\n", count, hash);
    free(table);
}

static void run_checksum(Input *in)
{
    printf("%016lx\n", slow_checksum(in->text, in->len));
}

static int run_lines(const char *path)
{
    long lines, bytes;
    int file = open(path, O_RDONLY);
    if (file < 0 || slow_lines(file, &lines, &bytes) != 0) {
        fail("cannot read the file");
    }
    close(file);
    printf("%ld %ld\n", lines, bytes);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(Input *in);
    } FUNCTIONS[] = {
        {"join", run_join},         {"sort", run_sort},         {"upper", run_upper},
        {"distinct", run_distinct}, {"settings", run_settings}, {"find", run_find},
        {"checksum", run_checksum},
    };
    if (argc != 3) {
        fail("usage: slow FUNCTION FILE");
    }
    if (strcmp(argv[1], "lines") == 0) {
        return run_lines(argv[2]);
    }
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; i++) {
        if (strcmp(argv[1], FUNCTIONS[i].name) == 0) {
            Input in = {0};
            in.text = read_all(argv[2], &in.len);
            FUNCTIONS[i].run(&in);
            free(in.lines);
            free(in.text);
            return 0;
        }
    }
    fail("there is no such function");
}
