// Steps to steps.yaml. Written by hand rather than through an emitter: people edit this file, so
// commands of several lines stand as they are and plain words stand without quotes.
#include "base/units.h"
#include "base/utf8.h"
#include "improve/steps_impl.h"

// ---- scalars

// Plain scalars of a narrow kind: starts like a word, holds nothing that YAML gives a meaning to
// in any place, and is not read as another type.
static bool is_plain(Slice s)
{
    static const char *const OTHERS[] = {"null", "Null",  "NULL",  "true", "True",
                                         "TRUE", "false", "False", "FALSE"};
    if (s.len == 0 || s.ptr[s.len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++) {
        if (slice_eq_cstr(s, OTHERS[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
        bool inner =
            (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == '=' || c == ' ';
        // ": " is a mapping, so a colon is plain only inside of a word: file:12.
        bool colon = c == ':' && i + 1 < s.len && s.ptr[i + 1] != ' ';
        if (!letter && !(i > 0 && (inner || colon))) {
            return false;
        }
    }
    return true;
}

static bool shown_as_is(uint32_t c)
{
    // What YAML calls printable, less the line breaks and the byte order mark.
    return (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') ||
           (c >= 0xA0 && c <= 0xD7FF && c != 0x2028 && c != 0x2029) ||
           (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || c >= 0x10000;
}

static void put_quoted(Buf *out, Slice s)
{
    buf_putc(out, '"');
    while (s.len > 0) {
        uint32_t c = 0;
        size_t n = utf8_decode(s, &c);
        if (n == 0) { // no UTF-8: text of a log or a file name
            buf_puts(out, "\\uFFFD");
            n = 1;
        } else if (shown_as_is(c)) {
            buf_append(out, slice_sub(s, 0, n));
        } else if (c == '"' || c == '\\') {
            buf_printf(out, "\\%c", (char)c);
        } else if (c == '\n' || c == '\t') {
            buf_puts(out, c == '\n' ? "\\n" : "\\t");
        } else {
            buf_printf(out, "\\u%04X", (unsigned)c);
        }
        s = slice_sub(s, n, s.len);
    }
    buf_putc(out, '"');
}

// A literal block keeps every byte if no line begins or ends in a way that needs an indicator.
static bool fits_block(Slice s)
{
    if (slice_find_byte(s, '\n') < 0 || s.ptr[0] == ' ' || s.ptr[0] == '\n' ||
        s.ptr[s.len - 1] == '\n') {
        return false;
    }
    while (s.len > 0) {
        uint32_t c = 0;
        size_t n = utf8_decode(s, &c);
        if (n == 0 || (!shown_as_is(c) && c != '"' && c != '\\' && c != '\n')) {
            return false;
        }
        s = slice_sub(s, n, s.len);
    }
    return true;
}

static void put_scalar(Buf *out, Slice s, int indent)
{
    if (is_plain(s)) {
        buf_append(out, s);
        return;
    }
    if (indent < 0 || !fits_block(s)) {
        put_quoted(out, s);
        return;
    }
    buf_puts(out, "|-");
    Slice line, rest = s;
    while (rest.len > 0) {
        (void)slice_cut(rest, '\n', &line, &rest);
        buf_printf(out, "\n%*s", line.len > 0 ? indent + 2 : 0, "");
        buf_append(out, line);
    }
}

static void put_field(Buf *out, const char *name, Slice value)
{
    if (value.len > 0) {
        buf_printf(out, "    %s: ", name);
        put_scalar(out, value, 4);
        buf_putc(out, '\n');
    }
}

static void put_name(Buf *out, Slice name)
{
    buf_puts(out, "  - name: ");
    put_scalar(out, name, -1);
    buf_putc(out, '\n');
}

static void put_directory(Buf *out, Slice directory)
{
    if (!slice_eq_cstr(directory, ".")) {
        put_field(out, "directory", directory);
    }
}

static void put_seconds(Buf *out, double seconds)
{
    if (seconds > 0) {
        char text[JSON_DOUBLE_MAX];
        json_format_double(seconds, text);
        buf_printf(out, "    seconds: %s\n", text);
    }
}

static void put_owner(Buf *out, bool by_person, const char *seal)
{
    if (by_person) {
        buf_puts(out, "    by: person\n");
    } else {
        buf_printf(out, "    seal: \"%s\"\n", seal);
    }
}

// ---- entries

static void put_steps(Buf *out, const char *name, const StepList *list)
{
    if (list->count == 0) {
        return;
    }
    buf_printf(out, "\n%s:\n", name);
    for (size_t i = 0; i < list->count; i++) {
        const Step *s = &list->items[i];
        char seal[STEPS_SEAL_HEX + 1];
        put_name(out, s->name);
        put_field(out, "run", s->run);
        put_directory(out, s->directory);
        if (s->network) {
            buf_puts(out, "    network: true\n");
        }
        put_field(out, "source", s->source);
        buf_printf(out, "    validated: %s\n", s->validated ? "true" : "false");
        put_seconds(out, s->seconds);
        if (s->tests >= 0) {
            buf_printf(out, "    tests: %lld\n", (long long)s->tests);
        }
        put_field(out, "log", s->log);
        put_field(out, "note", s->note);
        put_field(out, "key", s->key);
        steps_seal(s->name, s->run, s->directory, s->network, seal);
        put_owner(out, s->by_person, seal);
    }
}

static void put_benchmarks(Buf *out, const Steps *steps)
{
    buf_puts(out, steps->benchmark_count > 0 ? "\nbenchmarks:\n" : "");
    for (size_t i = 0; i < steps->benchmark_count; i++) {
        const Benchmark *b = &steps->benchmarks[i];
        char seal[STEPS_SEAL_HEX + 1];
        put_name(out, b->name);
        put_field(out, "run", b->run);
        put_directory(out, b->directory);
        put_field(out, "harness", b->harness);
        put_field(out, "source", b->source);
        buf_printf(out, "    validated: %s\n", b->validated ? "true" : "false");
        put_seconds(out, b->seconds);
        put_field(out, "log", b->log);
        put_field(out, "note", b->note);
        steps_seal(b->name, b->run, b->directory, false, seal);
        put_owner(out, b->by_person, seal);
    }
}

static void put_words(Buf *out, const Slice *words, size_t count)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i > 0 ? ", " : "");
        put_scalar(out, words[i], -1);
    }
    buf_putc(out, ']');
}

static void put_inputs(Buf *out, const WorkloadInputs *in)
{
    if (in->generator.len == 0 && in->size_count == 0 && in->file_count == 0 &&
        in->argument_count == 0) {
        return;
    }
    buf_puts(out, "    inputs:\n");
    if (in->generator.len > 0) {
        buf_puts(out, "      generator: ");
        put_scalar(out, in->generator, 6);
        buf_putc(out, '\n');
    }
    if (in->size_count > 0) {
        buf_puts(out, "      sizes: [");
        for (size_t i = 0; i < in->size_count; i++) {
            buf_printf(out, "%s%lld", i > 0 ? ", " : "", (long long)in->sizes[i]);
        }
        buf_puts(out, "]\n");
    }
    if (in->file_count > 0) {
        buf_puts(out, "      files: ");
        put_words(out, in->files, in->file_count);
        buf_putc(out, '\n');
    }
    buf_puts(out, in->argument_count > 0 ? "      arguments:\n" : "");
    for (size_t i = 0; i < in->argument_count; i++) {
        buf_puts(out, "        - ");
        put_words(out, in->arguments[i].words, in->arguments[i].count);
        buf_putc(out, '\n');
    }
}

static void put_workloads(Buf *out, const Steps *steps)
{
    buf_puts(out, steps->workload_count > 0 ? "\nworkloads:\n" : "");
    for (size_t i = 0; i < steps->workload_count; i++) {
        const Workload *w = &steps->workloads[i];
        char seal[STEPS_SEAL_HEX + 1];
        put_name(out, w->name);
        put_field(out, "run", w->run);
        put_directory(out, w->directory);
        put_field(out, "metric", w->metric);
        put_field(out, "output", w->output);
        put_field(out, "source", w->source);
        put_inputs(out, &w->inputs);
        if (w->skeleton) {
            buf_puts(out, "    skeleton: true\n");
        }
        steps_seal_workload(w, seal);
        put_owner(out, w->by_person, seal);
    }
}

static void put_globs(Buf *out, const char *name, const Slice *globs, size_t count)
{
    if (count > 0) {
        buf_printf(out, "\n%s:\n", name);
        for (size_t i = 0; i < count; i++) {
            buf_puts(out, "  - ");
            put_scalar(out, globs[i], -1);
            buf_putc(out, '\n');
        }
    }
}

static void put_size(Buf *out, const char *name, int64_t bytes)
{
    if (bytes > 0) {
        char text[UNITS_TEXT_MAX];
        size_format(bytes, text);
        buf_printf(out, "  %s: \"%s\"\n", name, text);
    }
}

static void put_limits(Buf *out, const StepsLimits *l)
{
    if (l->time_ns == 0 && l->memory_bytes == 0 && l->disk_bytes == 0 && l->processes == 0) {
        return;
    }
    buf_puts(out, "\nlimits:\n");
    if (l->time_ns > 0) {
        char text[UNITS_TEXT_MAX];
        duration_format(l->time_ns, text);
        buf_printf(out, "  time: \"%s\"\n", text);
    }
    put_size(out, "memory", l->memory_bytes);
    put_size(out, "disk", l->disk_bytes);
    if (l->processes > 0) {
        buf_printf(out, "  processes: %lld\n", (long long)l->processes);
    }
}

void steps_write(const Steps *steps, Buf *out)
{
    buf_puts(out, "# How this repository is built, tested and measured: `perfwright improve "
                  "configure`.\n"
                  "# Edit what is wrong: an edited entry is yours and is not overwritten.\n"
                  "version: 1\n");
    put_steps(out, "install", &steps->install);
    put_steps(out, "build", &steps->build);
    put_steps(out, "test", &steps->test);
    put_benchmarks(out, steps);
    put_workloads(out, steps);
    put_globs(out, "artifacts", steps->artifacts, steps->artifact_count);
    put_globs(out, "protect", steps->protect, steps->protect_count);
    put_globs(out, "packages_missing", steps->packages_missing, steps->packages_missing_count);
    buf_puts(out, steps->environment_count > 0 ? "\nenvironment:\n" : "");
    for (size_t i = 0; i < steps->environment_count; i++) {
        buf_puts(out, "  ");
        put_quoted(out, steps->environment[i].name);
        buf_puts(out, ": ");
        put_scalar(out, steps->environment[i].value, -1);
        buf_putc(out, '\n');
    }
    put_limits(out, &steps->limits);
}

// ---- JSON, for machines

static void json_text(JsonWriter *w, const char *name, Slice text)
{
    if (text.len > 0) {
        json_field_string(w, name, text);
    }
}

static void json_steps(JsonWriter *w, const char *name, const StepList *list)
{
    json_key(w, slice_from_cstr(name));
    json_array_begin(w);
    for (size_t i = 0; i < list->count; i++) {
        const Step *s = &list->items[i];
        json_object_begin(w);
        json_field_string(w, "name", s->name);
        json_field_string(w, "run", s->run);
        json_field_string(w, "directory", s->directory);
        json_text(w, "source", s->source);
        json_text(w, "log", s->log);
        json_text(w, "note", s->note);
        json_field_bool(w, "validated", s->validated);
        json_field_bool(w, "network", s->network);
        json_field_bool(w, "byPerson", s->by_person);
        if (s->seconds > 0) {
            json_field_double(w, "seconds", s->seconds);
        }
        if (s->tests >= 0) {
            json_field_int(w, "tests", s->tests);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_benchmarks(JsonWriter *w, const Steps *steps)
{
    json_key(w, SLICE("benchmarks"));
    json_array_begin(w);
    for (size_t i = 0; i < steps->benchmark_count; i++) {
        const Benchmark *b = &steps->benchmarks[i];
        json_object_begin(w);
        json_field_string(w, "name", b->name);
        json_text(w, "run", b->run);
        json_field_string(w, "directory", b->directory);
        json_field_string(w, "harness", b->harness);
        json_text(w, "source", b->source);
        json_text(w, "note", b->note);
        json_field_bool(w, "validated", b->validated);
        if (b->seconds > 0) {
            json_field_double(w, "seconds", b->seconds);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_texts(JsonWriter *w, const char *name, const Slice *texts, size_t count)
{
    json_key(w, slice_from_cstr(name));
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_string(w, texts[i]);
    }
    json_array_end(w);
}

static void json_inputs(JsonWriter *w, const WorkloadInputs *in)
{
    json_key(w, SLICE("inputs"));
    json_object_begin(w);
    json_text(w, "generator", in->generator);
    json_key(w, SLICE("sizes"));
    json_array_begin(w);
    for (size_t i = 0; i < in->size_count; i++) {
        json_int(w, in->sizes[i]);
    }
    json_array_end(w);
    json_texts(w, "files", in->files, in->file_count);
    json_key(w, SLICE("arguments"));
    json_array_begin(w);
    for (size_t i = 0; i < in->argument_count; i++) {
        json_array_begin(w);
        for (size_t k = 0; k < in->arguments[i].count; k++) {
            json_string(w, in->arguments[i].words[k]);
        }
        json_array_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void json_workloads(JsonWriter *w, const Steps *steps)
{
    json_key(w, SLICE("workloads"));
    json_array_begin(w);
    for (size_t i = 0; i < steps->workload_count; i++) {
        const Workload *l = &steps->workloads[i];
        json_object_begin(w);
        json_field_string(w, "name", l->name);
        json_field_string(w, "run", l->run);
        json_field_string(w, "directory", l->directory);
        json_field_string(w, "metric", l->metric);
        json_text(w, "output", l->output);
        json_text(w, "source", l->source);
        json_field_bool(w, "skeleton", l->skeleton);
        json_inputs(w, &l->inputs);
        json_object_end(w);
    }
    json_array_end(w);
}

void steps_write_json(const Steps *steps, JsonWriter *w)
{
    json_object_begin(w);
    json_field_int(w, "version", STEPS_VERSION);
    json_steps(w, "install", &steps->install);
    json_steps(w, "build", &steps->build);
    json_steps(w, "test", &steps->test);
    json_benchmarks(w, steps);
    json_workloads(w, steps);
    json_texts(w, "artifacts", steps->artifacts, steps->artifact_count);
    json_texts(w, "protect", steps->protect, steps->protect_count);
    json_texts(w, "packagesMissing", steps->packages_missing, steps->packages_missing_count);
    json_key(w, SLICE("environment"));
    json_object_begin(w);
    for (size_t i = 0; i < steps->environment_count; i++) {
        json_key(w, steps->environment[i].name);
        json_string(w, steps->environment[i].value);
    }
    json_object_end(w);
    json_object_end(w);
}
