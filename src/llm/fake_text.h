// The words a fake model says: English-looking text of any number of tokens, made once and shared,
// and the cutting of any text into pieces that stand for tokens.
#ifndef LLM_FAKE_TEXT_H
#define LLM_FAKE_TEXT_H

#include "base/buf.h"
#include "base/slice.h"

enum { FAKE_TOKENS_MAX = 32768 };

typedef struct FakeCorpus FakeCorpus; // immutable; any thread

FakeCorpus *fake_corpus_create(uint64_t seed);
void fake_corpus_destroy(FakeCorpus *corpus); // NULL is fine
// Text of `tokens` pieces (clamped to 1..FAKE_TOKENS_MAX), plain ASCII that JSON need not escape.
Slice fake_corpus_text(const FakeCorpus *corpus, size_t tokens);

// The next piece of the text from *at on, moving it: a word with the blanks before it, at most
// FAKE_PIECE_BYTES, never cutting a character of valid UTF-8. False at the end.
enum { FAKE_PIECE_BYTES = 16 };
bool fake_text_piece(Slice text, size_t *at, Slice *ret_piece);
// How many pieces there are; stops counting at `max`, and *ret_bytes is where it stopped.
size_t fake_text_tokens(Slice text, size_t max, size_t *ret_bytes);

// Appends the text as a JSON string, quick where nothing needs escaping.
void fake_put_string(Buf *out, Slice text);
// The same without the quotes around it.
void fake_put_escaped(Buf *out, Slice text);
void fake_put_int(Buf *out, int64_t value);

#endif
