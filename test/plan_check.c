// plan_check FOLDER: reads a plan in YAML on standard input, says on standard output, as one JSON
// object, what the parser makes of it: {"ok": true, "mistakes": [...], "document": {...}}. For
// test/plan_schema.py, which asks a JSON Schema validator about the same document.
#include "base/json_write.h"
#include "load/plan_parse.h"
#include "os/file.h"

int main(int argc, char **argv)
{
    Buf text = buf_create(PLAN_BYTES_MAX), out = buf_create((size_t)16 * PLAN_BYTES_MAX);
    Arena *arena = arena_create(PLAN_ARENA_BYTES);
    DocOptions format = {.format = DOC_FORMAT_YAML, .source = "stdin"};
    PlanMistakes mistakes = {0};
    const Plan *plan = NULL;
    const Doc *doc = NULL;
    Err e = {0};
    if (argc != 2 || file_read("/dev/stdin", &text, &e) != 0 ||
        doc_parse(arena, buf_slice(&text), &format, &doc, &e) != 0) {
        (void)fprintf(stderr, "plan_check: %s\n", argc != 2 ? "usage: plan_check FOLDER" : e.text);
        return 2;
    }
    int rc = plan_parse(arena, doc, &(PlanOptions){.folder = argv[1]}, &plan, &mistakes, &e);
    JsonWriter w = json_writer(&out, 0);
    json_object_begin(&w);
    json_field_bool(&w, "ok", rc == 0);
    json_key(&w, SLICE("mistakes"));
    json_array_begin(&w);
    for (size_t i = 0; i < mistakes.count; i++) {
        json_string(&w, mistakes.items[i].text);
    }
    json_array_end(&w);
    json_key(&w, SLICE("document"));
    doc_write(&w, doc);
    json_object_end(&w);
    (void)fwrite(out.data, 1, out.len, stdout);
    buf_done(&out);
    buf_done(&text);
    arena_destroy(arena);
    return 0;
}
