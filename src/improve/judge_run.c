// One run of one side on one input: a fresh process in a sandbox that is held open, with a fresh
// /tmp and home, the tree at the same path on both sides, and the same number of bytes around it.
#include <sys/stat.h>
#include <unistd.h>

#include "improve/judge_impl.h"
#include "os/file.h"

enum { PATH_BYTES_MAX = JUDGE_PATH_MAX, ENV_MAX = JUDGE_ENV_MAX, ERROR_TAIL = 2000 };
#define OUTPUT_BYTES_MAX (INT64_C(256) << 20)

JudgeRan judge_ran_create(void)
{
    return (JudgeRan){.bench = bench_result_create()};
}

void judge_ran_done(JudgeRan *ran)
{
    bench_result_done(&ran->bench);
}

// Moves the tree: where a program is must not matter to it.
static void move_tree(Arena *arena, SandboxOptions *o)
{
    SandboxMount *mounts = ARENA_ARRAY(arena, SandboxMount, o->mount_count + 1);
    for (size_t i = 0; i < o->mount_count; i++) {
        mounts[i] = o->mounts[i];
        if (strcmp(mounts[i].inside, WORKSPACE_INSIDE) == 0) {
            mounts[i].inside = JUDGE_ELSEWHERE;
        }
    }
    o->mounts = mounts;
    o->directory = JUDGE_ELSEWHERE;
}

static int box_of(const JudgeWork *work, const JudgeRunAsk *ask)
{
    return ask->other_place ? JUDGE_BOX_ELSEWHERE
           : work->writable ? JUDGE_BOX_WRITABLE
                            : JUDGE_BOX_READ_ONLY;
}

static int open_sandbox(Judge *j, JudgeSide *side, bool writable, int which, Err *e)
{
    if (side->sandbox[which]) {
        return 0;
    }
    SandboxMount *mount = ARENA_NEW(j->arena, SandboxMount);
    *mount = (SandboxMount){j->data_dir, JUDGE_DATA_INSIDE, false};
    StepRunOptions *step = ARENA_NEW(j->arena, StepRunOptions);
    *step = (StepRunOptions){.workspace = side->built,
                             .deps_dir = j->deps_dir,
                             .sandbox = {.mounts = mount, .mount_count = 1}};
    SandboxOptions o;
    step_sandbox(step, writable, j->arena, &o);
    if (which == JUDGE_BOX_ELSEWHERE) {
        move_tree(j->arena, &o);
    }
    return sandbox_open(&o, &side->sandbox[which], e);
}

// Takes the place of one of that name, or comes last.
static size_t put_variable(const char **room, size_t n, const char *variable)
{
    size_t name = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(room[i], variable, name) == 0) {
            room[i] = variable;
            return n;
        }
    }
    room[n] = variable;
    return n + 1;
}

// The environment is as long on both sides and in both arms of a round, and of another length in
// the next: where the stack begins moves speed by some percent, and must not move one side's only.
static const char *const *environment(Judge *j, const char *const *base, const JudgeRunAsk *ask,
                                      JudgeRoom *kept)
{
    const char **room = kept->env;
    char *pad = kept->pad;
    size_t n = 0;
    for (size_t i = 0; base && base[i] && n < ENV_MAX; i++) {
        room[n++] = base[i];
    }
    for (size_t i = 0; i < j->steps->environment_count && n < ENV_MAX; i++) {
        const StepsVariable *v = &j->steps->environment[i];
        room[n++] =
            arena_printf(j->arena, "%.*s=%.*s", SLICE_FMT(v->name), SLICE_FMT(v->value)).ptr;
    }
    for (size_t i = 0; ask->env_extra && ask->env_extra[i] && n < ENV_MAX; i++) {
        n = put_variable(room, n, ask->env_extra[i]);
    }
    size_t bytes = ask->pad % JUDGE_PAD_MAX;
    memcpy(pad, "PAD=", 4);
    memset(pad + 4, 'x', bytes);
    pad[4 + bytes] = 0;
    room[n++] = pad;
    room[n] = NULL;
    return room;
}

static int64_t timeout_of(const Judge *j, const JudgeInput *input, const JudgeRunAsk *ask)
{
    int64_t ten = (int64_t)(input->base_wall_s * 10 * (double)NS_PER_S);
    int64_t timeout = ask->timeout_ns > 0             ? ask->timeout_ns
                      : ten > JUDGE_SAMPLE_TIMEOUT_NS ? ten
                                                      : JUDGE_SAMPLE_TIMEOUT_NS;
    int64_t limit = j->steps->limits.time_ns;
    return limit > 0 && limit < timeout ? limit : timeout;
}

// Without a sandbox: the directory that stands for /tmp, emptied before every run.
static int fresh_scratch(const char *dir, Err *e)
{
    int rc = dir_remove_all(dir, e);
    return rc == 0 ? dir_make_all(dir, e) : rc;
}

// The output file that a workload declares takes the place of its standard output.
static int take_output_file(const JudgeSide *side, const JudgeWork *work, JudgeRan *ran, Err *e)
{
    Slice output = work->workload->output;
    if (output.len == 0 || slice_eq(output, SLICE("stdout"))) {
        return 0;
    }
    char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%.*s", workspace_tree(side->built), SLICE_FMT(output));
    struct stat st;
    Buf bytes = buf_create((size_t)OUTPUT_BYTES_MAX);
    // A link could lead out of the tree, and a device never ends.
    int rc = lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? file_read(path, &bytes, e) : 0;
    if (rc == 0) {
        // What it printed counts too, before the file.
        Buf both = buf_create((size_t)OUTPUT_BYTES_MAX);
        buf_puts(&both, ran->bench.output_sha256);
        buf_append(&both, buf_slice(&bytes));
        Sha256 hash = sha256_of(buf_slice(&both));
        sha256_hex(&hash, ran->bench.output_sha256);
        buf_append(&ran->bench.output, buf_slice(&bytes));
        buf_done(&both);
        (void)unlink(path);
    }
    buf_done(&bytes);
    return rc;
}

static int run_in(Judge *j, JudgeSide *side, const JudgeWork *work, const JudgeInput *input,
                  const JudgeRunAsk *ask, JudgeRan *ran, Err *e)
{
    Slice below = work->workload->directory;
    bool plain = below.len == 0 || slice_eq(below, SLICE("."));
    Slice line = input->run;
    if (ask->other_parent) {
        StepsVariable inner = {SLICE("line"), line};
        line = steps_expand(j->arena, SLICE("sh -c {line}; exit $?"), &inner, 1, true);
    }
    BenchCommand c = {.shell = arena_cstr(j->arena, line),
                      .output = ask->capture ? BENCH_OUTPUT_CAPTURE : BENCH_OUTPUT_HASH,
                      .output_bytes_max = OUTPUT_BYTES_MAX,
                      .error_tail_bytes = ERROR_TAIL,
                      .timeout_ns = timeout_of(j, input, ask),
                      .directory = j->room->directory};
    Sandbox *box = j->o->no_sandbox ? NULL : side->sandbox[box_of(work, ask)];
    const char *top = j->o->no_sandbox   ? workspace_tree(side->built)
                      : ask->other_place ? JUDGE_ELSEWHERE
                                         : WORKSPACE_INSIDE;
    (void)snprintf(j->room->directory, sizeof j->room->directory, "%s%s%.*s", top, plain ? "" : "/",
                   plain ? 0 : (int)below.len, plain ? "" : below.ptr);
    if (box) {
        c.enter_fn = sandbox_enter;
        c.enter_ctx = box;
        c.env = environment(j, sandbox_environment(box), ask, j->room);
        int rc = ask->keep_scratch ? 0 : sandbox_reset(box, e);
        if (rc != 0) {
            return rc;
        }
        rc = bench_command_run(&c, &ran->bench, e);
        ran->survivors = rc == 0 ? sandbox_survivors(box) : 0;
        return rc;
    }
    const char *scratch = arena_printf(j->arena, "%s/scratch", workspace_root(side->built)).ptr;
    const char *base[] = {
        arena_printf(j->arena, "PATH=%s", j->o->path ? j->o->path : "/usr/local/bin:/usr/bin:/bin")
            .ptr,
        arena_printf(j->arena, "HOME=%s", scratch).ptr,
        arena_printf(j->arena, "TMPDIR=%s", scratch).ptr, "LANG=C.UTF-8", NULL};
    c.env = environment(j, base, ask, j->room);
    int rc = ask->keep_scratch ? 0 : fresh_scratch(scratch, e);
    rc = rc == 0 ? bench_command_run(&c, &ran->bench, e) : rc;
    ran->survivors = rc == 0 ? ran->bench.survivors : 0;
    return rc;
}

int judge_run(Judge *j, JudgeSide *side, const JudgeWork *work, const JudgeInput *input,
              const JudgeRunAsk *ask, JudgeRan *ran, Err *e)
{
    int rc = j->o->no_sandbox ? 0 : open_sandbox(j, side, work->writable, box_of(work, ask), e);
    rc = rc == 0 ? run_in(j, side, work, input, ask, ran, e) : rc;
    if (rc == 0) {
        j->r->measuring_ns += ran->bench.sample.wall_ns;
        rc = take_output_file(side, work, ran, e);
    }
    // A tree that may be written to is put back, so that nothing is kept from run to run.
    if (rc == 0 && !ask->keep_scratch && (work->writable || j->o->no_sandbox) &&
        side->after_build && !ask->leave_tree) {
        judge_tree_remove_new(side->scan_arena, workspace_tree(side->built), side->after_build);
        arena_reset(side->scan_arena);
    }
    return rc == 0 ? 0 : err_wrap(e, "running workload %.*s", SLICE_FMT(work->workload->name));
}

// Counted by a command in the sandbox: its file systems are its own.
static int64_t count_scratch(Sandbox *box, Err *e)
{
    BenchResult found = bench_result_create();
    BenchCommand c = {.shell = "find /tmp /dev/shm \"$HOME\" -type f 2>/dev/null | wc -l",
                      .output = BENCH_OUTPUT_CAPTURE,
                      .enter_fn = sandbox_enter,
                      .enter_ctx = box,
                      .env = sandbox_environment(box),
                      .timeout_ns = JUDGE_SAMPLE_TIMEOUT_NS};
    int64_t count = -1;
    if (bench_command_run(&c, &found, e) != 0 ||
        slice_to_i64(slice_trim(buf_slice(&found.output)), &count) != 0) {
        count = -1;
    }
    bench_result_done(&found);
    return count;
}

unsigned judge_files_left(Judge *j, const JudgeSide *side, const JudgeWork *work,
                          const JudgeRunAsk *ask)
{
    int64_t left = 0;
    Sandbox *box = j->o->no_sandbox ? NULL : side->sandbox[box_of(work, ask)];
    if (box) {
        left = count_scratch(box, NULL);
    } else {
        const char *scratch = arena_printf(j->arena, "%s/scratch", workspace_root(side->built)).ptr;
        left = (int64_t)judge_tree_count(judge_tree_scan(j->arena, scratch));
    }
    if ((work->writable || j->o->no_sandbox) && side->after_build) {
        left += (int64_t)judge_tree_new(j->arena, workspace_tree(side->built), side->after_build);
    }
    return left < 0 ? 0 : left > UINT32_MAX ? UINT32_MAX : (unsigned)left;
}
