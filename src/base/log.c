#include "base/log.h"

#include <unistd.h>

#include "base/json_write.h"
#include "base/units.h"
#include "base/utf8.h"

static LogSink sink = {.level = LOG_OFF};

static const char *const LEVEL_NAMES[] = {"debug", "info", "warn", "error", "off"};

void log_open(const LogSink *new_sink)
{
    sink = new_sink && new_sink->write ? *new_sink : (LogSink){.level = LOG_OFF};
}

bool log_enabled(LogLevel level)
{
    return level >= sink.level && level < LOG_OFF;
}

void log_write_stderr(void *context, Slice line)
{
    (void)context;
    // There is nowhere to report that the log cannot be written.
    ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
    (void)written;
}

const char *log_level_name(LogLevel level)
{
    return LEVEL_NAMES[level];
}

int log_level_parse(Slice text, LogLevel *ret_level)
{
    for (size_t i = 0; i < COUNT_OF(LEVEL_NAMES); i++) {
        if (slice_eq_cstr(text, LEVEL_NAMES[i])) {
            *ret_level = (LogLevel)i;
            return 0;
        }
    }
    return ERR_PARSE;
}

// Cut at LOG_VALUE_MAX, not in the middle of a character.
static Slice cut(Slice text)
{
    if (text.len > LOG_VALUE_MAX) {
        text.len = LOG_VALUE_MAX;
        while (text.len > 0 && (text.ptr[text.len] & 0xC0) == 0x80) {
            text.len--;
        }
    }
    return text;
}

static bool needs_quotes(Slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(" =\"\\", text.ptr[i])) {
            return true;
        }
    }
    return text.len == 0;
}

static void put_text(Buf *line, Slice text)
{
    Buf clean = buf_create(LOG_LINE_MAX);
    utf8_sanitise(&clean, text);
    if (!needs_quotes(text)) {
        buf_append(line, buf_slice(&clean));
    } else {
        buf_putc(line, '"');
        for (size_t i = 0; i < clean.len; i++) {
            if (clean.data[i] == '"') {
                buf_putc(line, '\\');
            }
            buf_putc(line, clean.data[i]);
        }
        buf_putc(line, '"');
    }
    buf_done(&clean);
}

static void put_field(Buf *line, const LogField *field)
{
    char text[UNITS_TEXT_MAX];
    buf_printf(line, " %s=", field->key);
    switch (field->kind) {
    case LOG_TEXT: put_text(line, cut(field->text)); break;
    case LOG_INTEGER: buf_printf(line, "%lld", (long long)field->integer); break;
    case LOG_NUMBER: buf_printf(line, "%g", field->number); break;
    case LOG_DURATION:
        (void)duration_format_short(field->integer, text);
        buf_puts(line, text);
        break;
    }
}

static void put_json_field(JsonWriter *w, const LogField *field)
{
    switch (field->kind) {
    case LOG_TEXT: json_field_string(w, field->key, cut(field->text)); break;
    case LOG_INTEGER:
    case LOG_DURATION: json_field_int(w, field->key, field->integer); break;
    case LOG_NUMBER: json_field_double(w, field->key, field->number); break;
    }
}

// "2024-05-01T10:31:07.412Z"; the text log shows the part from hour to millisecond.
static void format_time(int64_t wall_ns, char out[32])
{
    time_t seconds = (time_t)(wall_ns / NS_PER_SECOND);
    struct tm utc = {0};
    (void)gmtime_r(&seconds, &utc);
    size_t len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out + len, 32 - len, ".%03dZ", (int)(wall_ns % NS_PER_SECOND / NS_PER_MS));
}

static void build_text(Buf *line, LogLevel level, const char *message, const LogField *fields,
                       size_t count)
{
    if (sink.wall_ns) {
        char time[32];
        format_time(sink.wall_ns(sink.context), time);
        buf_printf(line, "%.12s ", time + strlen("2024-05-01T"));
    }
    buf_printf(line, "%-5s ", LEVEL_NAMES[level]);
    utf8_sanitise(line, cut(slice_from_cstr(message)));
    for (size_t i = 0; i < count; i++) {
        put_field(line, &fields[i]);
    }
}

static void build_json(Buf *line, LogLevel level, const char *message, const LogField *fields,
                       size_t count)
{
    JsonWriter w = json_writer(line, 0);
    json_object_begin(&w);
    if (sink.wall_ns) {
        char time[32];
        format_time(sink.wall_ns(sink.context), time);
        json_field_cstr(&w, "time", time);
    }
    json_field_cstr(&w, "level", LEVEL_NAMES[level]);
    json_field_string(&w, "msg", cut(slice_from_cstr(message)));
    for (size_t i = 0; i < count; i++) {
        put_json_field(&w, &fields[i]);
    }
    json_object_end(&w);
}

void log_line(LogLevel level, const char *message, const LogField *fields, size_t count)
{
    if (!log_enabled(level)) {
        return;
    }
    Buf line = buf_create(LOG_LINE_MAX);
    if (sink.json) {
        build_json(&line, level, message, fields, count);
    } else {
        build_text(&line, level, message, fields, count);
    }
    buf_putc(&line, '\n');
    if (!line.overflowed) {
        sink.write(sink.context, buf_slice(&line));
    } else {
        // Too many long fields: the message alone, in the form of the log, which always fits.
        log_line(level, message, NULL, 0);
    }
    buf_done(&line);
}
