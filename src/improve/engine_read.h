// What the headless programs print, read into a Transcript: JSON lines in five dialects, and plain
// text. Nothing that a program prints is an error here: a line that is no JSON, that is too long or
// of a kind that is not known is counted and left. docs/internals/engines.md has the formats.
//
//     EngineReader *r = engine_reader_create(ENGINE_CLAUDE, &transcript);
//     engine_reader_push(r, bytes);            // as they come
//     engine_reader_end(r);
//     ... engine_reader_state(r)->final_text ...
//     engine_reader_destroy(r);
#ifndef IMPROVE_ENGINE_READ_H
#define IMPROVE_ENGINE_READ_H

#include "improve/engine.h"

enum {
    ENGINE_LINE_BYTES_MAX = 1 << 20, // a longer line is left out
    ENGINE_PENDING_MAX = 64,         // commands begun and not ended; of more, the exit is not known
};

typedef struct EngineReader EngineReader;

typedef struct EngineReaderState {
    Buf final_text;   // last words, or for plain text the end of the output
    Buf error;        // what went wrong, by its own word; empty: nothing
    bool failed;      // it said so itself
    bool over_budget; // it stopped at a limit of its own (turns, money)
    bool ended;       // the format's last event came: what is missing was not cut off
    uint64_t bytes, lines, lines_odd, lines_long;
} EngineReaderState;

// Clocks of commands are the transcript's.
EngineReader *engine_reader_create(EngineKind kind, Transcript *transcript);
void engine_reader_destroy(EngineReader *reader); // NULL is fine
void engine_reader_push(EngineReader *reader, Slice bytes);
// The output has ended: takes an unfinished line, and reports commands that never ended.
void engine_reader_end(EngineReader *reader);
const EngineReaderState *engine_reader_state(const EngineReader *reader);

#endif
