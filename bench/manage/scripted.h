// A language model for experiments that says one thing to everybody, over HTTP as any other.
#ifndef BENCH_SCRIPTED_H
#define BENCH_SCRIPTED_H

#include "llm/config.h"
#include "llm/fake.h"

// The model answers `text` to every question; `ret_config` names it as [llm.main]. Ends it with
// fake_llm_stop. Texts live in the arena.
MUST_USE int scripted_model(Arena *arena, Slice text, FakeLlm **ret_fake, LlmConfig *ret_config,
                            Err *e);

#endif
