// The [improve] table of the user's settings: who writes patches, with what, and within which
// budget.
//
//     [improve]
//     engine = "claude"
//     provider = "main"            # a section of [llm]: what the broker reaches
//     time = "20m"
//     tokens = 2000000
//     cost = 5.0
//
//     [llm.main]
//     provider = "anthropic"
//     model = "claude-sonnet-4-5"
//     api_key_env = "ANTHROPIC_API_KEY"
//
// They are read from the user's own file or from one named on the command line, never from the
// project's: a repository that is worked on must not say which keys its engine is given and where
// they are sent.
#ifndef IMPROVE_ENGINE_SETTINGS_H
#define IMPROVE_ENGINE_SETTINGS_H

#include "base/field.h"
#include "llm/config.h"

typedef struct EngineSettings {
    Slice engine; // for engine_parse; empty: none is configured
    Slice model;  // empty: the engine's own choice
    Slice provider;
    FieldNames env;  // variables of ours that the engine gets where no broker is used
    FieldNames args; // more words for the engine's command line
    bool network;
    int64_t time_ns, tokens, turns, requests;
    double cost_usd; // 0: no limit
    int64_t output_bytes, memory_bytes, disk_bytes, processes;
    bool has_llm;
    LlmConfig llm;
} EngineSettings;

// `doc` is the whole file's tree (or NULL for the defaults). ERR_PARSE with the position.
MUST_USE int engine_settings_read(Arena *arena, const Doc *doc, EngineSettings *ret_settings,
                                  Err *e);
// The same from a file; NULL: defaults. A file that is not there is fine where `optional`.
MUST_USE int engine_settings_load(Arena *arena, const char *path, bool optional,
                                  EngineSettings *ret_settings, Err *e);
// The keys as a Markdown table, for the guide.
void engine_settings_keys(Buf *out);
// The provider's index in settings->llm. ERR_ARG where none is named or there is no such section.
MUST_USE int engine_settings_provider(const EngineSettings *settings, size_t *ret_index, Err *e);
int64_t engine_settings_cost_nano(const EngineSettings *settings);

#endif
