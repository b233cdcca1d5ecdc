#include "llm/fake_text.h"

#include "base/json_write.h"
#include "base/rng.h"

enum { WORD_BYTES_MAX = 12, SENTENCE_MIN = 6, SENTENCE_MAX = 14 };

struct FakeCorpus {
    char *text;
    uint32_t *ends; // ends[n]: bytes of the first n + 1 tokens
};

static const char *const words[] = {
    "the",     "of",     "to",      "and",    "a",       "in",     "is",      "it",     "that",
    "for",     "with",   "as",      "on",     "load",    "server", "request", "answer", "time",
    "queue",   "worker", "latency", "tail",   "median",  "cache",  "thread",  "budget", "retry",
    "limit",   "result", "measure", "steady", "average", "sample", "window",  "system", "under",
    "between", "before", "after",   "above",  "most",    "some",   "every",   "one",    "two",
    "three",   "slow",   "fast",    "small",  "large",   "shows",  "grows",   "keeps",  "takes",
};

FakeCorpus *fake_corpus_create(uint64_t seed)
{
    FakeCorpus *c = mem_zalloc(sizeof *c);
    c->text = mem_alloc((size_t)FAKE_TOKENS_MAX * WORD_BYTES_MAX);
    c->ends = mem_alloc(FAKE_TOKENS_MAX * sizeof *c->ends);
    Rng rng = rng_stream(seed, SLICE("fake-corpus"), 0);
    size_t len = 0;
    int64_t left = 0;
    for (size_t i = 0; i < FAKE_TOKENS_MAX; i++) {
        const char *word = words[rng_below(&rng, COUNT_OF(words))];
        size_t word_len = strlen(word);
        bool first = left == 0;
        if (i > 0) {
            c->text[len++] = ' ';
        }
        memcpy(c->text + len, word, word_len);
        if (first) {
            left = rng_between(&rng, SENTENCE_MIN, SENTENCE_MAX);
            c->text[len] = (char)(c->text[len] - 'a' + 'A');
        }
        len += word_len;
        if (--left == 0) {
            c->text[len++] = '.';
        }
        c->ends[i] = (uint32_t)len;
    }
    return c;
}

void fake_corpus_destroy(FakeCorpus *c)
{
    if (c) {
        free(c->text);
        free(c->ends);
        free(c);
    }
}

Slice fake_corpus_text(const FakeCorpus *c, size_t tokens)
{
    tokens = tokens < 1 ? 1 : tokens > FAKE_TOKENS_MAX ? FAKE_TOKENS_MAX : tokens;
    return (Slice){c->text, c->ends[tokens - 1]};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

bool fake_text_piece(Slice text, size_t *at, Slice *ret_piece)
{
    size_t from = *at;
    if (from >= text.len) {
        return false;
    }
    size_t end = from;
    while (end < text.len && is_blank(text.ptr[end]) && end - from < FAKE_PIECE_BYTES) {
        end++;
    }
    while (end < text.len && !is_blank(text.ptr[end]) && end - from < FAKE_PIECE_BYTES) {
        end++;
    }
    // Back to the beginning of a character, but never to nothing.
    size_t cut = end;
    while (cut > from && cut < text.len && ((unsigned char)text.ptr[cut] & 0xC0) == 0x80) {
        cut--;
    }
    end = cut > from ? cut : end;
    *ret_piece = slice_sub(text, from, end - from);
    *at = end;
    return true;
}

size_t fake_text_tokens(Slice text, size_t max, size_t *ret_bytes)
{
    size_t at = 0, count = 0;
    Slice piece;
    while (count < max && fake_text_piece(text, &at, &piece)) {
        count++;
    }
    *ret_bytes = at;
    return count;
}

static bool is_plain(Slice text)
{
    unsigned char bad = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bad |= (unsigned char)((c < 0x20) | (c >= 0x7F) | (c == '"') | (c == '\\'));
    }
    return !bad;
}

void fake_put_string(Buf *out, Slice text)
{
    if (!is_plain(text)) {
        json_quote(out, text);
        return;
    }
    buf_putc(out, '"');
    buf_append(out, text);
    buf_putc(out, '"');
}

void fake_put_escaped(Buf *out, Slice text)
{
    if (is_plain(text)) {
        buf_append(out, text);
        return;
    }
    size_t from = out->len;
    json_quote(out, text);
    if (!out->overflowed) { // takes the quotes away again
        memmove(out->data + from, out->data + from + 1, out->len - from - 2);
        out->len -= 2;
    }
}

void fake_put_int(Buf *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_append(out, (Slice){digits + at, sizeof digits - at});
}
