// docs/plan.schema.json has the fields that the parser knows, object by object, and no others.
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "load/plan_parse.h"

static void test_schema_has_the_parsers_fields(void **state)
{
    (void)state;
    char path[4096];
    const char *root = getenv("PW_SOURCE_ROOT");
    (void)snprintf(path, sizeof path, "%s/docs/plan.schema.json", root ? root : ".");
    Arena *arena = arena_create(64 << 20);
    const Doc *schema = NULL;
    Err e = {0};
    if (doc_read_file(arena, path, NULL, &schema, &e) != 0) {
        fail_msg("%s", e.text);
    }
    size_t count = 0;
    const PlanObject *objects = plan_objects(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_top = slice_eq(objects[i].name, SLICE("plan"));
        const Doc *object =
            is_top ? schema : doc_get(doc_get(schema, SLICE("$defs")), objects[i].name);
        const Doc *properties = doc_get(object, SLICE("properties"));
        const Doc *open = doc_get(object, SLICE("additionalProperties"));
        assert_true(open && open->type == DOC_BOOL && !open->boolean);
        for (size_t k = 0; k < objects[i].count; k++) {
            Slice field = plan_object_field(&objects[i], k);
            if (!doc_get(properties, field)) {
                fail_msg("the schema's %.*s lacks %.*s", SLICE_FMT(objects[i].name),
                         SLICE_FMT(field));
            }
        }
        assert_int_equal(doc_count(properties), objects[i].count);
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schema_has_the_parsers_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
