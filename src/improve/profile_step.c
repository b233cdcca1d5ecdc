#include "improve/profile_step.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

enum { SOURCE_BYTES_MAX = 1 << 20, SOURCES_MAX = 3000 };
#define BUILD_TIMEOUT_NS (600 * NS_PER_S)
#define RUN_TIMEOUT_NS   (120 * NS_PER_S)

// ---- what perf printed

// "45.12%" or "45.12" to 0.4512.
static bool read_share(Slice text, double *ret_share)
{
    text = slice_trim(text);
    if (slice_ends_with(text, SLICE("%"))) {
        text.len--;
    }
    if (slice_to_f64(text, ret_share) != 0 || *ret_share < 0 || *ret_share > 100) {
        return false;
    }
    *ret_share /= 100;
    return true;
}

size_t profile_read_perf(Arena *arena, Slice text, HotSpot *hot, size_t max)
{
    size_t count = 0;
    for (Slice rest = text, line; rest.len > 0 && count < max;) {
        Slice share, object, symbol;
        (void)slice_cut(rest, '\n', &line, &rest);
        if (!slice_cut(line, ';', &share, &line) || !slice_cut(line, ';', &object, &symbol) ||
            !read_share(share, &hot[count].share)) {
            continue;
        }
        symbol = slice_trim(symbol);
        // "[.] name": in the program; "[k] name": in the kernel.
        bool user = slice_starts_with(symbol, SLICE("[.] "));
        symbol = symbol.len > 4 && symbol.ptr[0] == '[' ? slice_sub(symbol, 4, symbol.len) : symbol;
        hot[count].symbol = arena_copy(arena, slice_sub(slice_trim(symbol), 0, 200));
        hot[count].object =
            arena_copy(arena, user ? slice_sub(slice_trim(object), 0, 200) : SLICE("[kernel]"));
        hot[count].file = SLICE("");
        count += hot[count].symbol.len > 0;
    }
    return count;
}

// ---- where a function is

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A line that names it before a parenthesis and does not end like a call or a declaration.
static bool defines(Slice text, Slice symbol)
{
    for (Slice rest = text, line; rest.len > 0;) {
        (void)slice_cut(rest, '\n', &line, &rest);
        ptrdiff_t at = slice_find(line, symbol);
        if (at < 0) {
            continue;
        }
        size_t end = (size_t)at + symbol.len;
        bool whole = (at == 0 || !is_name_char(line.ptr[at - 1])) && end < line.len &&
                     (line.ptr[end] == '(' || line.ptr[end] == '<' || line.ptr[end] == ' ');
        // A definition begins at the margin, or behind `fn`, `def`, `func`.
        bool margin = line.ptr[0] != ' ' && line.ptr[0] != '\t' && line.ptr[0] != '#';
        bool keyword = slice_find(line, SLICE("fn ")) >= 0 ||
                       slice_find(line, SLICE("def ")) >= 0 ||
                       slice_find(line, SLICE("func ")) >= 0;
        if (whole && (margin || keyword) && !slice_ends_with(slice_trim(line), SLICE(";"))) {
            return true;
        }
    }
    return false;
}

static bool read_source(const Place *place, Slice path, Buf *out)
{
    char full[PATH_MAX];
    struct stat st;
    int len = snprintf(full, sizeof full, "%.*s/%.*s", SLICE_FMT(place->repo), SLICE_FMT(path));
    buf_reset(out);
    return len > 0 && (size_t)len < sizeof full && lstat(full, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_size <= SOURCE_BYTES_MAX && file_read(full, out, NULL) == 0;
}

void profile_find_files(const Place *place, Arena *arena, const Slice *paths, size_t count,
                        HotSpot *hot, size_t hot_count)
{
    Buf text = buf_create(SOURCE_BYTES_MAX + 1);
    size_t read = 0, missing = hot_count;
    for (size_t i = 0; i < count && missing > 0 && read < SOURCES_MAX; i++) {
        if (!survey_language(paths[i]) || survey_is_test(paths[i]) ||
            !read_source(place, paths[i], &text)) {
            continue;
        }
        read++;
        for (size_t k = 0; k < hot_count; k++) {
            Slice name = hot[k].symbol;
            ptrdiff_t open = slice_find_byte(name, '('); // C++ with its arguments
            name = open > 0 ? slice_sub(name, 0, (size_t)open) : name;
            for (ptrdiff_t colon; (colon = slice_find(name, SLICE("::"))) >= 0;) {
                name = slice_sub(name, (size_t)colon + 2, name.len);
            }
            if (hot[k].file.len == 0 && name.len > 2 && defines(buf_slice(&text), name)) {
                hot[k].file = arena_copy(arena, paths[i]);
                missing--;
            }
        }
    }
    buf_done(&text);
}

// ---- running

// A shell text that makes the workload's input and runs it under perf. The values are ours.
static Slice profile_command(Arena *arena, const Workload *w)
{
    const WorkloadInputs *in = &w->inputs;
    Slice size =
        in->size_count > 0 ? arena_printf(arena, "%lld", (long long)in->sizes[0]) : SLICE("1000");
    Slice input = in->file_count > 0 ? in->files[0] : SLICE("/tmp/perfwright-input");
    Slice arg = SLICE("");
    if (in->argument_count > 0) {
        for (size_t i = 0; i < in->arguments[0].count; i++) {
            arg = arena_printf(arena, "%.*s%s%.*s", SLICE_FMT(arg), i ? " " : "",
                               SLICE_FMT(in->arguments[0].words[i]));
        }
    }
    StepsVariable values[] = {{SLICE("input"), input},
                              {SLICE("seed"), SLICE("1")},
                              {SLICE("size"), size},
                              {SLICE("arg"), arg}};
    Slice make = SLICE("true");
    if (slice_eq_cstr(in->generator, "random-bytes")) {
        make = arena_printf(arena, "head -c %.*s /dev/urandom > /tmp/perfwright-input",
                            SLICE_FMT(size));
    } else if (slice_eq_cstr(in->generator, "text-lines")) {
        make = arena_printf(arena, "seq %.*s > /tmp/perfwright-input", SLICE_FMT(size));
    } else if (in->generator.len > 0) {
        make = steps_expand(arena, in->generator, values, COUNT_OF(values), false);
        if (slice_find(in->generator, SLICE("{input}")) < 0) {
            make = arena_printf(arena, "%.*s > /tmp/perfwright-input", SLICE_FMT(make));
        }
    }
    Slice run = steps_expand(arena, w->run, values, COUNT_OF(values), false);
    Slice quoted = arena_printf(arena,
                                "cat > /tmp/perfwright-run <<'PERFWRIGHT_END'\n%.*s\n"
                                "PERFWRIGHT_END\n",
                                SLICE_FMT(run));
    return arena_printf(
        arena,
        "{ %.*s ; } || exit 90\n%.*s"
        "perf record -q -e cpu-clock -F 997 -o /tmp/perfwright.data -- sh /tmp/perfwright-run "
        ">/dev/null 2>/tmp/perfwright.err || { tail -c 300 /tmp/perfwright.err; exit 91; }\n"
        "perf report -q --stdio -F overhead,dso,symbol -t ';' --percent-limit 1 "
        "-i /tmp/perfwright.data 2>/dev/null | head -n 60\n",
        SLICE_FMT(make), SLICE_FMT(quoted));
}

static int run_steps(const StepList *list, StepRunOptions *o, Arena *arena, StepProfile *p, Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count && p->reason.len == 0; i++) {
        StepResult result;
        o->command = arena_cstr(arena, list->items[i].run);
        o->directory = arena_cstr(arena, list->items[i].directory);
        o->timeout_ns = BUILD_TIMEOUT_NS;
        rc = step_run(o, arena, &result, e);
        if (rc == 0) {
            p->build_seconds += (double)result.wall_ns / 1e9;
            if (result.end != STEP_OK) {
                p->reason = arena_printf(arena, "step %.*s %s", SLICE_FMT(list->items[i].name),
                                         STEP_END_NAMES[result.end]);
            }
        }
    }
    return rc;
}

static int run_perf(const Workload *w, StepRunOptions *o, Arena *arena, StepProfile *p, Err *e)
{
    StepResult result;
    o->command = profile_command(arena, w).ptr;
    o->directory = arena_cstr(arena, w->directory);
    o->timeout_ns = RUN_TIMEOUT_NS;
    int rc = step_run(o, arena, &result, e);
    if (rc != 0) {
        return rc;
    }
    p->run_seconds = (double)result.wall_ns / 1e9;
    if (result.end != STEP_OK) {
        Slice tail = slice_trim(result.tail);
        p->reason = result.exit_code == 90 ? SLICE("the generator of its input failed")
                    : result.exit_code == 91
                        ? arena_printf(arena, "perf could not record here: %.*s",
                                       SLICE_FMT(slice_sub(tail, 0, 200)))
                        : arena_printf(arena, "the profiled run %s", STEP_END_NAMES[result.end]);
        return 0;
    }
    p->hot_count = profile_read_perf(arena, result.tail, p->hot, PROFILE_HOT_MAX);
    p->taken = p->hot_count > 0;
    p->reason = p->taken ? SLICE("") : SLICE("perf took no samples: the run is too short");
    return 0;
}

int profile_step(const Place *place, const Steps *steps, Loop *loop, const char *work_dir,
                 bool no_sandbox, Arena *arena, StepProfile *ret_profile, Err *e)
{
    StepProfile *p = ret_profile;
    const Workload *workload = NULL;
    Workspace *ws = NULL;
    *p = (StepProfile){0};
    for (size_t i = 0; i < steps->workload_count && !workload; i++) {
        workload = steps->workloads[i].skeleton ? NULL : &steps->workloads[i];
    }
    if (!workload) {
        p->reason = SLICE("steps.yaml has no workload that could be run");
        return 0;
    }
    p->workload = workload->name;
    WorkspaceOptions options = {
        .repo = place->repo.ptr, .work_dir = work_dir, .cut_history = true, .loop = loop};
    int rc = workspace_create(&options, arena, &ws, e);
    if (rc != 0) {
        return rc;
    }
    StepRunOptions run = {.loop = loop, .workspace = ws, .no_sandbox = no_sandbox};
    rc = run_steps(&steps->build, &run, arena, p, e);
    if (rc == 0 && p->reason.len == 0) {
        rc = run_perf(workload, &run, arena, p, e);
    }
    workspace_destroy(ws);
    return rc;
}

void step_profile_write(const StepProfile *p, JsonWriter *w)
{
    json_object_begin(w);
    json_field_bool(w, "taken", p->taken);
    if (p->workload.len > 0) {
        json_field_string(w, "workload", p->workload);
    }
    if (!p->taken) {
        json_field_string(w, "reason", p->reason);
    } else {
        json_field_cstr(w, "tool", "perf, software clock");
        json_key(w, SLICE("hot"));
        json_array_begin(w);
        for (size_t i = 0; i < p->hot_count; i++) {
            json_object_begin(w);
            json_field_double(w, "share", p->hot[i].share);
            json_field_string(w, "symbol", p->hot[i].symbol);
            json_field_string(w, "object", p->hot[i].object);
            if (p->hot[i].file.len > 0) {
                json_field_string(w, "file", p->hot[i].file);
            }
            json_object_end(w);
        }
        json_array_end(w);
    }
    json_object_end(w);
}
