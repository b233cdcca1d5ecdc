// Inputs of the workloads: those that are declared, those drawn within the declaration after the
// patch was fixed, and small variations that the declaration does not mention but that no honest
// patch fears.
#include <sys/stat.h>
#include <unistd.h>

#include "improve/judge_impl.h"
#include "os/file.h"

enum {
    PATH_BYTES_MAX = 4096,
    HIDDEN_SEEDS = JUDGE_TIMED_INPUTS,
    LINE_BYTES = 60, // of built-in text
};
#define GENERATE_TIMEOUT_NS (60 * NS_PER_S)

static bool has_placeholder(Slice text, const char *name)
{
    char braced[32];
    (void)snprintf(braced, sizeof braced, "{%s}", name);
    return slice_find(text, slice_from_cstr(braced)) >= 0;
}

static void set_var(JudgeInput *in, const char *name, Slice value)
{
    if (in->var_count < JUDGE_VARS_MAX) {
        in->vars[in->var_count++] = (StepsVariable){slice_from_cstr(name), value};
    }
}

static Slice number(Judge *j, int64_t n)
{
    return arena_printf(j->arena, "%lld", (long long)n);
}

static JudgeInput *new_input(JudgeWork *work)
{
    return work->input_count < JUDGE_INPUTS_MAX ? &work->inputs[work->input_count] : NULL;
}

// ---- files of input

// A place for the next one: on the host, and as the program sees it. The names say nothing.
static void place_file(Judge *j, const char **ret_host, Slice *ret_inside)
{
    unsigned n = j->files++;
    *ret_host = arena_printf(j->arena, "%s/%03u", j->data_dir, n).ptr;
    *ret_inside = j->o->no_sandbox ? slice_from_cstr(*ret_host)
                                   : arena_printf(j->arena, JUDGE_DATA_INSIDE "/%03u", n);
}

int judge_write_input(Judge *j, Slice bytes, Slice *ret_inside, Err *e)
{
    const char *host;
    place_file(j, &host, ret_inside);
    FileWriteOptions o = {.mode = 0644, .no_sync = true};
    return file_write(host, bytes, &o, e);
}

// Where the program's path of an input is on the host: they are called 000, 001 and so on.
const char *judge_input_host(Judge *j, Slice inside)
{
    return arena_printf(j->arena, "%s/%.*s", j->data_dir,
                        SLICE_FMT(slice_sub(inside, inside.len < 3 ? 0 : inside.len - 3, 3)))
        .ptr;
}

static void built_in(Judge *j, bool text, uint64_t seed, int64_t size, Buf *out)
{
    Rng r = rng_stream(seed, SLICE("judge input"), (uint64_t)size);
    (void)j;
    for (int64_t i = 0; i < size; i++) {
        uint64_t v = rng_u64(&r);
        if (!text) {
            buf_putc(out, (char)(v & 0xff));
        } else if (i + 1 == size || v % LINE_BYTES == 0) {
            buf_putc(out, '\n');
        } else {
            buf_putc(out, v % 7 == 0 ? ' ' : (char)('a' + v / 64 % 26));
        }
    }
}

// Runs the generator of the steps in a copy of the base. False: it would not make this one, which
// is its right for sizes that nobody declared.
static int run_generator(Judge *j, const JudgeWork *work, JudgeInput *in, const char *host,
                         Slice inside, bool *ret_ok, Err *e)
{
    const WorkloadInputs *inputs = &work->workload->inputs;
    Slice line = steps_expand(j->arena, inputs->generator, in->vars, in->var_count, true);
    bool redirects = has_placeholder(inputs->generator, "input");
    SandboxMount mount = {j->data_dir, JUDGE_DATA_INSIDE, true};
    StepRunOptions o = {.timeout_ns = GENERATE_TIMEOUT_NS,
                        .sandbox = {.mounts = &mount, .mount_count = 1}};
    Step step = {.run = redirects ? line
                                  : arena_printf(j->arena, "( %.*s ) > %.*s", SLICE_FMT(line),
                                                 SLICE_FMT(inside)),
                 .directory = work->workload->directory};
    StepResult result;
    Judge quiet = *j;
    JudgeReport unlisted = {.command_count = JUDGE_COMMANDS_MAX};
    quiet.r = &unlisted;
    int rc = judge_step(&quiet, "generator", j->base.built, &step, &o, &result, e);
    *ret_ok = rc == 0 && result.end == STEP_OK && access(host, R_OK) == 0;
    if (rc == 0 && !*ret_ok) {
        (void)err_set(e, ERR_UNSUPPORTED, "the generator of workload %.*s fails: %.*s",
                      SLICE_FMT(work->workload->name), SLICE_FMT(result.tail));
    }
    return rc;
}

static int generate(Judge *j, JudgeWork *work, JudgeInput *in, uint64_t seed, int64_t size,
                    bool *ret_ok, Err *e)
{
    Slice how = work->workload->inputs.generator, inside;
    const char *host;
    *ret_ok = true;
    if (how.len == 0) {
        return 0;
    }
    bool bytes = slice_eq(how, SLICE("random-bytes")), text = slice_eq(how, SLICE("text-lines"));
    if (bytes || text) {
        Buf out = buf_create(JUDGE_INPUT_BYTES_MAX);
        built_in(j, text, seed, size, &out);
        int rc = buf_check(&out, "an input", e);
        rc = rc == 0 ? judge_write_input(j, buf_slice(&out), &inside, e) : rc;
        buf_done(&out);
        set_var(in, "input", inside);
        return rc;
    }
    place_file(j, &host, &inside);
    set_var(in, "input", inside);
    return run_generator(j, work, in, host, inside, ret_ok, e);
}

// ---- adding

static Slice put_values(Judge *j, const JudgeWork *work, const JudgeInput *in)
{
    // {arg} holds a row of words that are quoted already; everything else is one word.
    Slice run = work->workload->run;
    for (size_t i = 0; i < in->var_count; i++) {
        if (slice_eq(in->vars[i].name, SLICE("arg"))) {
            run = steps_expand(j->arena, run, &in->vars[i], 1, false);
        }
    }
    return steps_expand(j->arena, run, in->vars, in->var_count, true);
}

static void finish(Judge *j, JudgeWork *work, JudgeInput *in, Slice label)
{
    in->label = label;
    in->run = put_values(j, work, in);
    if (in->timed) {
        work->timed[work->timed_count++] = work->input_count;
    }
    work->unseen = work->unseen || (in->hidden && in->declared);
    work->input_count++;
}

typedef struct Draw {
    uint64_t seed;
    int64_t size;
    bool timed, hidden, optional; // optional: a generator that refuses is no error
    bool plain;                   // neither seed nor size means anything to the command
} Draw;

static int add_seeded(Judge *j, JudgeWork *work, const JudgeInput *from, const Draw *draw, Err *e)
{
    JudgeInput *in = new_input(work);
    if (!in) {
        return 0;
    }
    *in = from ? *from : (JudgeInput){0};
    in->declared = true;
    in->hidden = draw->hidden;
    in->timed = draw->timed;
    set_var(in, "seed", number(j, (int64_t)draw->seed));
    set_var(in, "size", number(j, draw->size));
    bool ok = true;
    int rc = generate(j, work, in, draw->seed, draw->size, &ok, e);
    if (rc != 0 || !ok) {
        return rc != 0 ? rc : draw->optional ? 0 : ERR_UNSUPPORTED;
    }
    if (draw->plain) {
        finish(j, work, in, from ? from->label : SLICE("as declared"));
        return 0;
    }
    finish(j, work, in,
           arena_printf(j->arena, "%s%.*sseed %llu, size %lld", draw->hidden ? "hidden: " : "",
                        SLICE_FMT(from ? arena_printf(j->arena, "%.*s, ", SLICE_FMT(from->label))
                                       : (Slice){0}),
                        (unsigned long long)draw->seed, (long long)draw->size));
    return 0;
}

static uint64_t fresh_seed(Judge *j)
{
    return rng_below(&j->rng, INT32_MAX);
}

// Sizes that code for the usual case forgets: nothing, one, odd, and a little beside each declared.
static int64_t odd_size(Judge *j, const WorkloadInputs *inputs, int which)
{
    int64_t claimed = inputs->size_count > 0 ? inputs->sizes[0] : 1000;
    int64_t low = claimed, high = claimed;
    for (size_t i = 0; i < inputs->size_count; i++) {
        low = inputs->sizes[i] < low ? inputs->sizes[i] : low;
        high = inputs->sizes[i] > high ? inputs->sizes[i] : high;
    }
    switch (which) {
    case 0: return 0;
    case 1: return 1;
    case 2: return 2 + (int64_t)rng_below(&j->rng, 7);
    case 3: return claimed + 1;
    case 4: return claimed > 1 ? claimed - 1 : 3;
    default: return rng_between(&j->rng, low / 2, high);
    }
}

static int add_seeds_and_sizes(Judge *j, JudgeWork *work, const JudgeInput *from, Err *e)
{
    const WorkloadInputs *inputs = &work->workload->inputs;
    Slice both = arena_printf(j->arena, "%.*s %.*s", SLICE_FMT(work->workload->run),
                              SLICE_FMT(inputs->generator));
    bool built_in_kind = inputs->generator.len > 0 && !has_placeholder(both, "seed") &&
                         (slice_eq(inputs->generator, SLICE("random-bytes")) ||
                          slice_eq(inputs->generator, SLICE("text-lines")));
    bool seeds = built_in_kind || has_placeholder(both, "seed");
    bool sizes = (built_in_kind || has_placeholder(both, "size")) && inputs->size_count > 0;
    int64_t claimed = inputs->size_count > 0 ? inputs->sizes[0] : built_in_kind ? 1 << 20 : 1000;
    int rc = 0;
    // What is claimed is measured on seeds that nobody knew when the patch was written.
    for (int i = 0; rc == 0 && i < (seeds ? HIDDEN_SEEDS : 1); i++) {
        Draw d = {seeds ? fresh_seed(j) : 1, claimed, true, seeds, false, !seeds && !sizes};
        rc = add_seeded(j, work, from, &d, e);
    }
    for (size_t i = 1; rc == 0 && i < inputs->size_count; i++) {
        Draw d = {seeds ? fresh_seed(j) : 1, inputs->sizes[i], false, seeds, false, false};
        rc = add_seeded(j, work, from, &d, e);
    }
    for (int i = 0; rc == 0 && sizes && i < 6 && !work->only_timed; i++) {
        Draw d = {seeds ? fresh_seed(j) : 1, odd_size(j, inputs, i), false, true, true, false};
        rc = add_seeded(j, work, from, &d, e);
    }
    return rc;
}

static int add_file(Judge *j, JudgeWork *work, Slice path, bool timed, Err *e)
{
    JudgeInput *in = new_input(work);
    if (!in) {
        return 0;
    }
    *in = (JudgeInput){.declared = true, .timed = timed};
    char host[PATH_BYTES_MAX];
    bool absolute = path.len > 0 && path.ptr[0] == '/';
    (void)snprintf(host, sizeof host, absolute ? "%s%.*s" : "%s/%.*s",
                   absolute ? "" : workspace_tree(j->base.source), SLICE_FMT(path));
    Buf bytes = buf_create(JUDGE_INPUT_BYTES_MAX);
    Slice inside = {0};
    int rc = file_read(host, &bytes, e);
    rc = rc == 0 ? judge_write_input(j, buf_slice(&bytes), &inside, e) : rc;
    buf_done(&bytes);
    if (rc != 0) {
        return err_wrap(e, "input of workload %.*s", SLICE_FMT(work->workload->name));
    }
    set_var(in, "input", inside);
    set_var(in, "seed", SLICE("1"));
    finish(j, work, in, arena_printf(j->arena, "file %.*s", SLICE_FMT(path)));
    return 0;
}

static int add_arguments(Judge *j, JudgeWork *work, Err *e)
{
    const WorkloadInputs *inputs = &work->workload->inputs;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < inputs->argument_count; i++) {
        JudgeInput row = {.label = arena_printf(j->arena, "arguments %zu", i + 1)};
        Buf all = buf_create(1 << 16);
        for (size_t k = 0; k < inputs->arguments[i].count; k++) {
            Slice word = inputs->arguments[i].words[k];
            Slice quoted =
                steps_expand(j->arena, SLICE("{w}"), &(StepsVariable){SLICE("w"), word}, 1, true);
            buf_printf(&all, "%s%.*s", k > 0 ? " " : "", SLICE_FMT(quoted));
            set_var(&row, arena_printf(j->arena, "arg%zu", k + 1).ptr, word);
        }
        set_var(&row, "arg", arena_copy(j->arena, buf_slice(&all)));
        buf_done(&all);
        rc = add_seeds_and_sizes(j, work, &row, e);
    }
    return rc;
}

// ---- all workloads

static int draw_for(Judge *j, JudgeWork *work, Err *e)
{
    const WorkloadInputs *inputs = &work->workload->inputs;
    int rc = 0;
    work->inputs = ARENA_ARRAY(j->arena, JudgeInput, JUDGE_INPUTS_MAX);
    for (size_t i = 0; rc == 0 && i < inputs->file_count; i++) {
        rc = add_file(j, work, inputs->files[i], i < JUDGE_TIMED_INPUTS, e);
    }
    if (rc == 0 && inputs->argument_count > 0) {
        rc = add_arguments(j, work, e);
    } else if (rc == 0 && (inputs->file_count == 0 || inputs->generator.len > 0)) {
        rc = add_seeds_and_sizes(j, work, NULL, e);
    }
    return rc == 0 && !work->only_timed ? judge_add_variations(j, work, e) : rc;
}

int judge_make_input(Judge *j, JudgeWork *work, const JudgeMake *make, JudgeInput *ret_input,
                     bool *ret_ok, Err *e)
{
    JudgeInput in = {.declared = true, .hidden = true};
    int rc = 0;
    *ret_ok = true;
    // Values of a row stay, but for those that are made anew.
    for (size_t i = 0; make->row && i < make->row->var_count; i++) {
        const StepsVariable *v = &make->row->vars[i];
        bool anew = slice_eq(v->name, SLICE("seed")) || slice_eq(v->name, SLICE("size")) ||
                    (slice_eq(v->name, SLICE("input")) &&
                     (make->content.ptr || work->workload->inputs.generator.len > 0));
        if (!anew) {
            in.vars[in.var_count++] = *v;
        }
    }
    set_var(&in, "seed", number(j, (int64_t)make->seed));
    set_var(&in, "size", number(j, make->size));
    if (make->content.ptr) {
        Slice inside;
        rc = judge_write_input(j, make->content, &inside, e);
        set_var(&in, "input", rc == 0 ? inside : (Slice){0});
    } else {
        rc = generate(j, work, &in, make->seed, make->size, ret_ok, e);
    }
    if (rc == 0 && *ret_ok) {
        in.run = put_values(j, work, &in);
        *ret_input = in;
    }
    return rc;
}

int judge_draw_timed(Judge *j, JudgeWork *work, Err *e)
{
    const Workload *whole = work->workload;
    Workload narrow = *whole;
    if (narrow.inputs.size_count > 1) {
        narrow.inputs.size_count = 1;
    }
    work->workload = &narrow;
    work->only_timed = true;
    int rc = draw_for(j, work, e);
    work->workload = whole;
    return rc;
}

int judge_draw_inputs(Judge *j, Err *e)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < j->work_count; i++) {
        rc = draw_for(j, &j->works[i], e);
    }
    return rc;
}
