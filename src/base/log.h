// The log: one line an event, as text for people or as JSON lines for machines.
//
//     log_open(&(LogSink){.write = log_write_stderr, .level = LOG_INFO, .wall_ns = clock});
//     LOG(LOG_WARN, "generator is late", log_duration("p99", late_ns), log_int("vus", vus));
//
//     10:31:07.412 warn  generator is late p99=1.23ms vus=50
//     {"time":"2024-05-01T10:31:07.412Z","level":"warn","msg":"generator is late","p99":...}
//
// The message is a fixed sentence; what varies goes into fields. Nothing in a message or field can
// drive a terminal or forge a line: control characters and invalid UTF-8 are escaped. Values are
// cut at LOG_VALUE_MAX bytes. Never pass a secret: the log cannot know one.
//
// The sink is the program's one mutable global beside the signal flag. Set it before threads start;
// from then on any thread may log: a line is built on its own and handed over in one call, which
// must itself be safe to make from several threads (write to a file descriptor is).
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/slice.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF } LogLevel;

enum { LOG_VALUE_MAX = 1024, LOG_LINE_MAX = 64 << 10 };

typedef struct LogSink {
    void (*write)(void *context, Slice line); // `line` ends in a newline
    int64_t (*wall_ns)(void *context);        // since 1970; NULL: lines carry no time
    void *context;
    LogLevel level; // lines below it are not built
    bool json;
} LogSink;

// The sink is copied. NULL closes the log; so it is at the start, and lines go nowhere.
void log_open(const LogSink *sink);
bool log_enabled(LogLevel level);
// A LogSink.write: to standard error, in one call.
void log_write_stderr(void *context, Slice line);

typedef struct LogField {
    const char *key;
    enum { LOG_TEXT, LOG_INTEGER, LOG_NUMBER, LOG_DURATION } kind;
    Slice text;
    int64_t integer;
    double number;
} LogField;

static inline LogField log_text(const char *key, Slice text)
{
    return (LogField){.key = key, .kind = LOG_TEXT, .text = text};
}
static inline LogField log_cstr(const char *key, const char *text)
{
    return log_text(key, slice_from_cstr(text));
}
static inline LogField log_err(const Err *e)
{
    return log_cstr("error", e->text);
}
static inline LogField log_int(const char *key, int64_t value)
{
    return (LogField){.key = key, .kind = LOG_INTEGER, .integer = value};
}
static inline LogField log_double(const char *key, double value)
{
    return (LogField){.key = key, .kind = LOG_NUMBER, .number = value};
}
// In JSON lines: nanoseconds as an integer.
static inline LogField log_duration(const char *key, int64_t ns)
{
    return (LogField){.key = key, .kind = LOG_DURATION, .integer = ns};
}

void log_line(LogLevel level, const char *message, const LogField *fields, size_t count);

// LOG(level, message, fields...); the fields are not evaluated when the level is off.
#define LOG(level, message, ...)                                                                   \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const LogField log_fields_[] = {{.key = NULL}, ##__VA_ARGS__};                         \
            log_line((level), (message), log_fields_ + 1, COUNT_OF(log_fields_) - 1);              \
        }                                                                                          \
    } while (0)

const char *log_level_name(LogLevel level);
// "debug", "info", "warn", "error", "off"; ERR_PARSE otherwise.
MUST_USE int log_level_parse(Slice text, LogLevel *ret_level);

#endif
