#include "scripted.h"

int scripted_model(Arena *arena, Slice text, FakeLlm **ret_fake, LlmConfig *ret_config, Err *e)
{
    FakeScript *script = fake_script_default(arena);
    script->rules = ARENA_ARRAY(arena, FakeRule, 1);
    script->rules[0] = (FakeRule){.stream = -1,
                                  .after_tool = -1,
                                  .times = -1,
                                  .has_text = true,
                                  .text = text,
                                  .retry_after_ns = -1,
                                  .fault = FAKE_NO_FAULT};
    script->rule_count = 1;
    int rc = fake_llm_start(&(FakeLlmOptions){.script = script}, ret_fake, e);
    if (rc != 0) {
        return rc;
    }
    NetAddr addr = fake_llm_addr(*ret_fake);
    Slice toml = arena_printf(arena,
                              "[llm.main]\nprovider = \"openai\"\nmodel = \"scripted\"\n"
                              "base_url = \"http://127.0.0.1:%d/v1\"\n",
                              net_addr_port(&addr));
    const Doc *doc = NULL;
    DocOptions options = {.format = DOC_FORMAT_TOML};
    rc = doc_parse(arena, toml, &options, &doc, e);
    rc = rc ? rc : llm_config_read(arena, doc_get(doc, SLICE("llm")), ret_config, e);
    if (rc != 0) {
        fake_llm_stop(*ret_fake);
        *ret_fake = NULL;
    }
    return rc;
}
