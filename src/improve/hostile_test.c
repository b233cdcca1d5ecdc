// Repositories that mean harm, made on the spot: whatever they do, the step ends with a clear
// message, nothing is left running, and the user's checkout is what it was, byte for byte.
#include "improve/repo_fixture.h"
#include "improve/step_run.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BOUND = 60 };

#define NEEDS_SANDBOX(w)                                                                           \
    if (!(w)->sandbox) {                                                                           \
        skip();                                                                                    \
    }

static Workspace *copy_of(World *w, const char *repo)
{
    Workspace *ws;
    int rc = workspace_create(
        &(WorkspaceOptions){.repo = repo, .work_dir = w->work, .cut_history = true}, w->arena, &ws,
        &w->e);
    if (rc != 0) {
        fail_msg("%s", w->e.text);
    }
    return ws;
}

// ---- steps

typedef struct Attack {
    const char *name;
    const char *script; // of the repository's build.sh
    StepEnd end;
    const char *words;   // in the result's text
    const char *printed; // in its output
    int64_t timeout_ns;
    bool edits; // its own sources, in the copy
} Attack;

static const Attack ATTACKS[] = {
    {.name = "hangs and ignores every signal that it can",
     .script = "trap '' TERM INT HUP QUIT; while :; do sleep 0.1; done",
     .end = STEP_TIMED_OUT,
     .words = "not measured",
     .timeout_ns = 1 * NS_PER_S},
    {.name = "starts too many processes",
     .script = "for i in $(seq 60); do sleep 20 & done; wait",
     .end = STEP_PROCESSES,
     .words = "fewer jobs"},
    {.name = "fills the disk",
     .script =
         "i=0; while [ $i -lt 200 ]; do i=$((i+1)); head -c 500000 /dev/zero >f$i; done; sleep 5",
     .end = STEP_DISK,
     .words = "after writing"},
    {.name = "fills /tmp",
     .script =
         "i=0; while [ $i -lt 30 ] && head -c 1000000 /dev/zero >/tmp/$i; do i=$((i+1)); done; "
         "[ $i -lt 30 ] && echo full",
     .printed = "full"},
    {.name = "eats the memory",
     .script = "head -c 400000000 /dev/zero | tail -c 390000000 | sleep 20",
     .end = STEP_MEMORY,
     .words = "MiB of memory"},
    {.name = "needs a terminal",
     .script =
         "if ( exec 3</dev/tty ) 2>/dev/null; then read x </dev/tty; fi; echo no terminal; tty",
     .end = STEP_FAILED,
     .words = "exit code 1",
     .printed = "no terminal"},
    {.name = "prints without end",
     .script = "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo done",
     .printed = "done"},
    {.name = "edits its own sources", .script = "echo faster >main.c", .edits = true},
    {.name = "writes where it may not",
     .script =
         "for d in / /etc /usr /home /var /root \"$USER_CHECKOUT\" /work/link /proc/sys/kernel; "
         "do echo x >$d/evil; done 2>/dev/null; echo x >>/work/file-link 2>/dev/null; "
         "ls -d /root/.ssh \"$USER_CHECKOUT\" /proc/1/root/root 2>/dev/null; echo tried",
     .printed = "tried"},
    {.name = "opens the network",
     .script = "python3 -c \"import socket,sys\n"
               "s=socket.socket(); s.settimeout(3)\n"
               "try: s.connect(('127.0.0.1', int(sys.argv[1]))); print('reached')\n"
               "except OSError: print('no network')\" $PORT",
     .printed = "no network"},
    {.name = "kills whatever it can",
     .script = "kill -9 -1; kill -9 1 2 $PPID; echo lives",
     .end = STEP_SIGNALLED, // its own shell among them
     .words = "signal 9",
     .printed = "lives"},
    {.name = "leaves a daemon",
     .script = "(setsid sh -c 'trap \"\" TERM HUP; while :; do echo x >>/work/alive; sleep 0.02; "
               "done' >/dev/null 2>&1 &) & sleep 0.2; echo done",
     .printed = "done"},
    {.name = "plants a configuration for git on the host",
     .script = "git config core.fsmonitor 'touch /tmp/evil; touch evil'; printf '#!/bin/sh\\ntouch "
               "evil' >.git/hooks/pre-commit; chmod +x .git/hooks/*; git init -q inner; echo '* "
               "filter=evil' >.gitattributes; git config filter.evil.clean 'touch evil'; rm -rf "
               ".git/HEAD; echo ref: refs/heads/evil >.git/HEAD",
     .edits = true},
};

static void run_attack(World *w, const Attack *a, unsigned port)
{
    put_file(w, "user/repo/build.sh", a->script);
    commit_all(w, a->name);
    const char *before = fingerprint(w, at(w, "user"));
    Workspace *ws = copy_of(w, w->repo);
    const char *env[] = {
        arena_printf(w->arena, "USER_CHECKOUT=%s", w->repo).ptr,
        arena_printf(w->arena, "PORT=%u", port).ptr,
        NULL,
    };
    StepResult r;
    int rc =
        step_run(&(StepRunOptions){.workspace = ws,
                                   .command = "sh ./build.sh",
                                   .timeout_ns = a->timeout_ns ? a->timeout_ns : BOUND * NS_PER_S,
                                   .log_path = at(w, "log"),
                                   .log_bytes_max = 1 << 20,
                                   .count_changes = true,
                                   .sandbox = {.env = env,
                                               .processes_max = 40,
                                               .disk_bytes_max = 20 << 20,
                                               .tmp_bytes_max = 8 << 20,
                                               .memory_bytes_max = 128 << 20}},
                 w->arena, &r, &w->e);
    if (rc != 0) {
        fail_msg("%s: %s", a->name, w->e.text);
    }
    if (r.end != a->end || (a->words && slice_find(r.text, slice_from_cstr(a->words)) < 0) ||
        (a->printed && slice_find(r.tail, slice_from_cstr(a->printed)) < 0)) {
        fail_msg("%s: %s, '%.*s', printed '%.*s'", a->name, STEP_END_NAMES[r.end],
                 SLICE_FMT(r.text), SLICE_FMT(r.tail));
    }
    assert_int_equal(r.changes.modified > 0 || r.changes.untracked > 0,
                     a->edits || a->end == STEP_DISK || strstr(a->name, "daemon"));
    struct stat st;
    assert_int_equal(stat(at(w, "log"), &st), 0);
    assert_true(st.st_size <= 1 << 20);
    Slice diff;
    assert_int_equal(workspace_diff(ws, &diff, &w->e), 0); // git runs on the host, after the attack
    assert_int_equal(access(arena_printf(w->arena, "%s/evil", workspace_tree(ws)).ptr, F_OK), -1);
    workspace_destroy(ws);
    assert_int_equal(access("/tmp/evil", F_OK), -1);
    if (strcmp(fingerprint(w, at(w, "user")), before) != 0) {
        fail_msg("%s: the user's directory changed", a->name);
    }
}

static void test_attacks(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    make_repo(w, "user/repo");
    put_file(w, "user/repo/main.c", "int main(void) { return 0; }\n");
    put_file(w, "user/secret", "secret\n");
    assert_int_equal(symlink(at(w, "user"), at(w, "user/repo/link")), 0);
    assert_int_equal(symlink(at(w, "user/secret"), at(w, "user/repo/file-link")), 0);
    // Somebody listens on the host's loopback.
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    for (size_t i = 0; i < COUNT_OF(ATTACKS); i++) {
        run_attack(w, &ATTACKS[i], ntohs(address.sin_port));
    }
    (void)close(listener);
}

// ---- configuration that runs programs

static void plant(World *w, const char *key)
{
    const char *command = arena_printf(w->arena, "touch '%s'; cat", at(w, "ran")).ptr;
    GIT(w, "config", key, command);
}

static void test_configuration_does_not_run(void **state)
{
    World *w = *state;
    static const char *const KEYS[] = {"core.fsmonitor",
                                       "core.sshCommand",
                                       "core.gitProxy",
                                       "core.pager",
                                       "core.editor",
                                       "diff.external",
                                       "diff.evil.textconv",
                                       "diff.evil.command",
                                       "filter.evil.clean",
                                       "filter.evil.smudge",
                                       "filter.evil.process",
                                       "gpg.program",
                                       "credential.helper",
                                       "core.alternateRefsCommand",
                                       "uploadpack.packObjectsHook",
                                       "merge.evil.driver",
                                       "sequence.editor",
                                       "alias.status",
                                       "alias.diff",
                                       NULL};
    make_repo(w, "config");
    put_file(w, "config/a.c", "one\n");
    commit_all(w, "first");
    put_file(w, "config/.gitattributes", "* filter=evil diff=evil merge=evil\n");
    put_file(w, "config/a.c", "two\n");
    commit_all(w, "second");
    for (size_t i = 0; KEYS[i]; i++) {
        plant(w, KEYS[i]);
    }
    GIT(w, "config", "filter.evil.required", "true");
    GIT(w, "config", "log.showSignature", "true");
    GIT(w, "config", "remote.origin.url", "ext::touch ran");
    GIT(w, "config", "remote.origin.promisor", "true");
    put_file(w, "config/.git/hooks/post-checkout", "#!/bin/sh\ntouch ran\n");
    put_file(w, "config/.git/hooks/reference-transaction", "#!/bin/sh\ntouch ran\n");
    (void)host(w, "chmod +x config/.git/hooks/*");
    put_file(w, "config/a.c", "dirty\n");
    // The fixture is real: git as a person calls it runs them.
    (void)host(w, "cd config && git status");
    assert_int_equal(unlink(at(w, "ran")), 0);
    const char *before = fingerprint(w, w->repo);

    Git *git;
    GitFacts f;
    const GitCommit *log;
    const GitChange *changes;
    size_t count;
    GitHash base;
    GitHash head;
    Buf out = buf_create(1 << 20);
    assert_int_equal(git_open(&(GitOptions){.path = w->repo}, w->arena, &git, &w->e), 0);
    assert_int_equal(git_facts(git, &f, &w->e), 0);
    assert_int_equal(f.dirty, 1);
    assert_int_equal(git_log(git, &(GitLogOptions){0}, &log, &count, &w->e), 0);
    assert_int_equal(git_range(git, "HEAD~1..HEAD", base, head, &w->e), 0);
    assert_int_equal(git_changed_files(git, base, head, &changes, &count, &w->e), 0);
    assert_int_equal(git_diff(git, base, head, &out, &w->e), 0);
    assert_int_equal(git_read(git, "HEAD", "a.c", &out, &w->e), 0);
    buf_done(&out);
    git_close(git);
    Workspace *ws = copy_of(w, w->repo);
    assert_string_equal(get_file(w, arena_printf(w->arena, "%s/a.c", workspace_tree(ws)).ptr),
                        "two\n");
    assert_string_equal(fingerprint(w, w->repo), before);
    assert_int_equal(workspace_apply_patch(
                         ws, SLICE("--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-two\n+three\n"), &w->e),
                     0);
    GitHash commit;
    assert_int_equal(workspace_publish(ws, w->repo, "perfwright/x", SLICE("m"), commit, &w->e), 0);
    workspace_destroy(ws);
    assert_int_equal(access(at(w, "ran"), F_OK), -1);
    assert_int_equal(access(at(w, "config/ran"), F_OK), -1);
}

// ---- we are killed

static void test_killed_in_the_middle(void **state)
{
    World *w = *state;
    NEEDS_SANDBOX(w);
    make_repo(w, "victim");
    w->work = at(w, "victim work");
    put_file(w, "victim/f", "f\n");
    commit_all(w, "first");
    const char *before = fingerprint(w, w->repo);
    put_file(w, "out/alive", "");
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // should the test fail
        SandboxMount mount = {at(w, "out"), "/out", true};
        StepResult r;
        Workspace *ws = copy_of(w, w->repo);
        int rc =
            step_run(&(StepRunOptions){.workspace = ws,
                                       .command = "(setsid sh -c 'while :; do echo x >>/out/alive; "
                                                  "sleep 0.02; done' &) & sleep 1000",
                                       .sandbox = {.mounts = &mount, .mount_count = 1}},
                     w->arena, &r, &w->e);
        _exit(rc == 0 ? 0 : 1);
    }
    struct stat st = {0};
    for (int i = 0; i < 1000 && st.st_size < 4; i++) {
        (void)usleep(20000);
        assert_int_equal(stat(at(w, "out/alive"), &st), 0);
    }
    assert_true(st.st_size >= 4);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    // The kernel ends a namespace in its own time; then nothing writes any more.
    off_t size = -1;
    for (int i = 0; i < 20 && size != st.st_size; i++) {
        size = st.st_size;
        (void)usleep(300000);
        assert_int_equal(stat(at(w, "out/alive"), &st), 0);
    }
    assert_int_equal(st.st_size, size);
    assert_string_equal(host(w, "ls -d 'victim work'/w-* | wc -l"), "1");
    // The next run cleans up.
    workspace_destroy(copy_of(w, w->repo));
    assert_string_equal(host(w, "ls -d 'victim work'/w-* 2>/dev/null | wc -l"), "0");
    assert_string_equal(fingerprint(w, w->repo), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attacks),
        cmocka_unit_test(test_configuration_does_not_run),
        cmocka_unit_test(test_killed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
