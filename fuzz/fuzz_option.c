// Command lines: the input's lines are arguments to a verb that has every kind of option. Whatever
// happens, a failure has words and a success has values in their ranges.
#include "base/option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS_MAX = 64, TEXT_MAX = 4096 };

static const char *const CHOICES[] = {"text", "json", NULL};
static const Option OPTIONS[] = {
    {.name = "vus", .short_name = 'u', .kind = OPTION_INT, .min = 1, .max = 10, .help = "x"},
    {.name = "duration", .short_name = 'd', .kind = OPTION_DURATION, .help = "x"},
    {.name = "rate", .kind = OPTION_RATE, .help = "x"},
    {.name = "size", .kind = OPTION_SIZE, .help = "x"},
    {.name = "count", .kind = OPTION_COUNT, .help = "x"},
    {.name = "share", .kind = OPTION_FLOAT, .max = 1, .help = "x"},
    {.name = "label", .short_name = 'l', .kind = OPTION_STRING, .repeat = true, .help = "x"},
    {.name = "format", .kind = OPTION_CHOICE, .choices = CHOICES, .help = "x"},
    {.name = "json", .short_name = 'j', .kind = OPTION_FLAG, .negatable = true, .help = "x"},
};
static const Positional POSITIONALS[] = {
    {.name = "CMD", .help = "x", .optional = true, .many = true}};
static const Verb VERB = {
    .name = "v", .summary = "s", OPTION_TABLE(OPTIONS), POSITIONAL_TABLE(POSITIONALS)};

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz option: %s", what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) {
        return 0;
    }
    Arena *arena = arena_create(16 << 20);
    const char *args[ARGS_MAX];
    size_t count = 0;
    Slice rest = {(const char *)data, size}, line;
    while (rest.len > 0 && count < ARGS_MAX) {
        (void)slice_cut(rest, '\n', &line, &rest);
        args[count++] = arena_cstr(arena, line);
    }
    OptionSet *set = NULL;
    Err e = {0};
    if (option_parse(arena, &VERB, args, count, NULL, &set, &e) != 0) {
        require(e.code == ERR_ARG && e.text[0] != '\0', "a failure without words");
    } else {
        int64_t vus = option_int(set, "vus");
        double share = option_float(set, "share");
        require(!option_given(set, "vus") || (vus >= 1 && vus <= 10), "vus out of range");
        require(share >= 0 && share <= 1, "share out of range");
        require(option_int(set, "duration") >= 0, "a negative duration");
        require(option_int(set, "format") < 2, "a choice that is none");
        require(option_positional_count(set) <= count, "positionals from nowhere");
    }
    arena_destroy(arena);
    return 0;
}
