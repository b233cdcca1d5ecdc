// What crosses the border of a script. The first byte chooses:
//
// '.': a base and a specifier, a line each. What resolves stays below the root and resolves to
//      itself again.
// else: a JSON text. Through JavaScript and back, as text and as a Doc, it comes out the same, and
//      after one round it does not change any more.
#include "base/json_write.h"
#include "script/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok, const char *what)
{
    if (!ok) {
        die("fuzz script: %s", what);
    }
}

static bool has_part(Slice path, Slice wanted)
{
    Slice part;
    while (path.len > 0) {
        (void)slice_cut(path, '/', &part, &path);
        if (slice_eq(part, wanted)) {
            return true;
        }
    }
    return false;
}

// Bases are names that were resolved before.
static bool is_resolved(Slice base)
{
    Buf dotted = buf_create(64 << 10), again = buf_create(64 << 10);
    buf_puts(&dotted, "./");
    buf_append(&dotted, base);
    bool is = script_resolve((Slice){NULL, 0}, buf_slice(&dotted), &again, NULL) == 0 &&
              slice_eq(base, buf_slice(&again));
    buf_done(&dotted);
    buf_done(&again);
    return is;
}

static void check_specifier(Slice text)
{
    Slice base, specifier;
    (void)slice_cut(text, '\n', &base, &specifier);
    Buf out = buf_create(64 << 10);
    if (is_resolved(base) && script_resolve(base, specifier, &out, NULL) == 0 &&
        !slice_starts_with(buf_slice(&out), SLICE("host:"))) {
        Slice path = buf_slice(&out);
        require(path.len > 0 && path.ptr[0] != '/', "an absolute or empty path");
        require(!has_part(path, SLICE("..")), "a path with \"..\"");
        require(path.len + 2 > SCRIPT_SPECIFIER_MAX || is_resolved(path), "a path that moves");
    }
    buf_done(&out);
}

// Making an instance costs more than a call, so one serves all inputs until it is spent.
static Script *the_script(void)
{
    static Script *script;
    static ScriptProgram *program;
    static Loop *loop;
    if (!program) {
        ScriptProgramOptions options = {.entry = "fuzz.js",
                                        .source = SLICE("export default (x) => x")};
        require(loop_create(&(LoopOptions){0}, &loop, NULL) == 0, "no loop");
        require(script_program_load(&options, &program, NULL) == 0, "no program");
    }
    if (script && script_is_spent(script)) {
        script_destroy(script);
        script = NULL;
    }
    if (!script) {
        require(script_create(program, &(ScriptOptions){.loop = loop}, &script, NULL) == 0,
                "no instance");
    }
    return script;
}

static int pass(ScriptArg arg, Buf *out)
{
    return script_call(the_script(), "default", &arg, 1, &(ScriptCallOptions){0}, out, NULL);
}

static void check_value(Slice text)
{
    Arena *arena = arena_create(256 << 20);
    const Doc *doc = NULL, *once = NULL;
    Buf as_doc = buf_create(64 << 20), as_text = buf_create(64 << 20), twice = buf_create(64 << 20);
    int text_rc = pass(script_arg_json(text), &as_text);
    if (doc_parse(arena, text, NULL, &doc, NULL) == 0) {
        require(pass(script_arg_doc(doc), &as_doc) == 0, "a document was refused");
        require(text_rc == 0, "a JSON text was refused");
        require(slice_eq(buf_slice(&as_doc), buf_slice(&as_text)), "two ways, two values");
        require(doc_parse(arena, buf_slice(&as_doc), NULL, &once, NULL) == 0, "no JSON came out");
        require(pass(script_arg_doc(once), &twice) == 0 &&
                    slice_eq(buf_slice(&as_doc), buf_slice(&twice)),
                "a value that moves");
    }
    buf_done(&as_doc);
    buf_done(&as_text);
    buf_done(&twice);
    arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice text = {(const char *)data, size};
    if (size > 0 && data[0] == '.') {
        check_specifier(slice_sub(text, 1, size));
    } else {
        check_value(text);
    }
    return 0;
}
