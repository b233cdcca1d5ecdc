// A schema and a value, a line each: whatever both are, checking ends with one of the documented
// codes, and a schema that passed its check accepts or refuses the same value every time.
#include "base/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Doc *parse(Arena *arena, Slice text)
{
    const Doc *doc = NULL;
    return doc_parse(arena, text, NULL, &doc, NULL) == 0 ? doc : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice schema_text, value_text;
    Arena *arena = arena_create(64 << 20);
    (void)slice_cut((Slice){(const char *)data, size}, '\n', &schema_text, &value_text);
    const Doc *schema = parse(arena, schema_text);
    const Doc *value = parse(arena, value_text);
    int rc = schema && value ? schema_check(schema, NULL) : ERR_PARSE;
    if (rc != 0 && rc != ERR_PARSE && rc != ERR_LIMIT) {
        die("fuzz schema: check returned %d", rc);
    }
    if (rc == 0) {
        Err e;
        e.text[0] = '\0';
        rc = schema_validate(schema, value, "value", &e);
        if (rc != schema_validate(schema, value, "value", NULL)) {
            die("fuzz schema: the second opinion differs");
        }
        if (rc != 0 && ((rc != ERR_ARG && rc != ERR_LIMIT) || e.text[0] == '\0')) {
            die("fuzz schema: validate returned %d \"%s\"", rc, e.text);
        }
    }
    arena_destroy(arena);
    return 0;
}
