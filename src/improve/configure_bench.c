// Benchmarks that were found are run where it is known how, a few of each kind and not for long: it
// is to be shown that they run, not what they say.
#include "improve/configure_impl.h"

enum { EACH_HARNESS_MAX = 3, ALL_MAX = 12 };
#define BENCHMARK_LIMIT_NS (60 * NS_PER_SECOND)

static Slice stem_of(Slice source)
{
    Slice path, line;
    (void)slice_cut(source, ':', &path, &line);
    Slice name = path_name(path);
    Slice x = path_extension(name);
    return x.len > 0 ? slice_sub(name, 0, name.len - x.len - 1) : name;
}

// The program that the build made of a source file: of its name, or with it.
static Slice built_program(Tree *tree, Slice stem)
{
    Slice close = {0};
    for (size_t i = 0; i < tree->count; i++) {
        const TreeFile *f = &tree->files[i];
        Slice name = path_name(f->path);
        if (!f->program || text_has(f->path, "CMakeFiles/") || slice_find_byte(name, '.') >= 0) {
            continue;
        }
        if (slice_eq(name, stem)) {
            return f->path;
        }
        if (slice_find(name, stem) >= 0) {
            close = f->path;
        }
    }
    return close;
}

static void name_programs(Configure *c, void *copy)
{
    const ConfigureRunner *runner = c->o->runner;
    Steps *found = &c->in->found;
    const char *root = runner->tree ? runner->tree(runner->ctx, copy) : NULL;
    Tree tree;
    if (root == NULL || tree_read(c->arena, root, &tree, NULL) != 0) {
        return;
    }
    for (size_t i = 0; i < found->benchmark_count; i++) {
        Benchmark *b = &found->benchmarks[i];
        bool native = text_has(b->source, ".c") || text_has(b->source, ".C");
        if (b->run.len > 0 || !native) {
            continue;
        }
        Slice program = built_program(&tree, stem_of(b->source));
        if (program.len == 0 || slice_find_byte(program, '\'') >= 0) {
            continue;
        }
        b->run = slice_eq_cstr(b->harness, "google-benchmark")
                     ? arena_printf(c->arena, "'./%.*s' --benchmark_filter='^%.*s'",
                                    SLICE_FMT(program), SLICE_FMT(b->name))
                     : arena_printf(c->arena, "'./%.*s'", SLICE_FMT(program));
    }
}

static size_t runs_of_harness(const Steps *found, size_t before, Slice harness)
{
    size_t n = 0;
    for (size_t i = 0; i < before; i++) {
        n += slice_eq(found->benchmarks[i].harness, harness) && found->benchmarks[i].log.len > 0;
    }
    return n;
}

int configure_benchmarks(Configure *c, void *copy, const Recipe *r)
{
    Steps *found = &c->in->found;
    size_t ran = 0;
    name_programs(c, copy);
    for (size_t i = 0; i < found->benchmark_count && ran < ALL_MAX; i++) {
        Benchmark *b = &found->benchmarks[i];
        if (b->run.len == 0 || configure_out_of_time(c) ||
            runs_of_harness(found, i, b->harness) >= EACH_HARNESS_MAX) {
            continue;
        }
        Recipe here = *r;
        here.directory = b->directory;
        Candidate candidate = {.what = b->name, .run = b->run, .source = b->source};
        ConfigureOutcome out;
        ConfigureOptions limited = *c->o;
        if (limited.step_limit_ns == 0 || limited.step_limit_ns > BENCHMARK_LIMIT_NS) {
            limited.step_limit_ns = BENCHMARK_LIMIT_NS;
        }
        const ConfigureOptions *all = c->o;
        c->o = &limited;
        int rc = configure_run(c, copy, &here, STAGE_BENCHMARK, &candidate, &out, &b->log);
        c->o = all;
        if (rc != 0) {
            return rc;
        }
        ran++;
        b->validated = out.ok;
        b->seconds = out.timed_out ? 0 : out.seconds;
        b->note = out.timed_out ? SLICE("takes longer than a minute: not measured") : out.text;
    }
    return 0;
}
