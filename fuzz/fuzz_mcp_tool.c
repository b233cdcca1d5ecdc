// A tool's input schema and the arguments of a call, parted by a NUL. Properties: no crash; a tool
// that is accepted makes headers that HTTP can carry, each name once, values that decode.
#include <assert.h>

#include "mcp/client_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Slice schema_text;
    Slice arguments_text;
    (void)slice_cut((Slice){(const char *)data, size}, '\0', &schema_text, &arguments_text);
    Arena *arena = arena_create(64 << 20);
    const Doc *schema = NULL;
    const Doc *arguments = NULL;
    McpTool tool = {0};
    if (doc_parse(arena, schema_text, NULL, &schema, NULL) == 0 && schema->type == DOC_OBJECT &&
        mcp_params_of(arena, schema, &tool.params, &tool.param_count, NULL) == 0 &&
        doc_parse(arena, arguments_text, NULL, &arguments, NULL) == 0) {
        HttpHeader headers[64];
        size_t count = mcp_param_headers(arena, &tool, arguments, headers, COUNT_OF(headers));
        for (size_t i = 0; i < count; i++) {
            assert(http_is_token(headers[i].name));
            assert(http_is_field_value(headers[i].value));
            for (size_t k = 0; k < i; k++) {
                assert(!slice_eq_nocase(headers[i].name, headers[k].name));
            }
        }
    }
    Buf out = buf_create(1 << 20);
    mcp_elicit_defaults(arguments, &out);
    const Doc *back = NULL;
    assert(out.overflowed || doc_parse(arena, buf_slice(&out), NULL, &back, NULL) == 0);
    buf_done(&out);
    arena_destroy(arena);
    return 0;
}
