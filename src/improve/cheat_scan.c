#include "improve/cheat_scan_impl.h"

#include <stdarg.h>

// The words of the table are counted in added less deleted lines over the whole patch: code that
// moves is not new. Comments do not count. The levels are chosen for the many patches that are
// honest: what real optimisations contain now and then is a NOTE, and a probe decides; a DOUBT is
// what hardly one does.

const char *const CHEAT_NAMES[CHEATS + 1] = {
    "",
    "the measurement is edited",
    "less work is measured",
    "the answer to the measured input is in the code",
    "answers are kept across iterations",
    "answers are kept on disk across runs",
    "work is moved out of what is timed",
    "work goes on in the background",
    "the program knows when it is measured",
    "the clock is tampered with",
    "compiler flags instead of code",
    "another library is linked",
    "numbers that nobody measured",
    "units are swapped",
    "tests are skipped",
    "wrong on inputs that were not seen",
    "copied from history",
    "a failure is scored as a success",
    "what was measured was not built from the patch",
    "the baseline was made slow",
    "the best of many attempts",
    NULL,
};

const char *cheat_check(Cheat cheat)
{
    static const char *const CHECKS[CHEATS] = {
        "catalogue-0",  "catalogue-1",  "catalogue-2",  "catalogue-3",  "catalogue-4",
        "catalogue-5",  "catalogue-6",  "catalogue-7",  "catalogue-8",  "catalogue-9",
        "catalogue-10", "catalogue-11", "catalogue-12", "catalogue-13", "catalogue-14",
        "catalogue-15", "catalogue-16", "catalogue-17", "catalogue-18", "catalogue-19",
        "catalogue-20"};
    return CHECKS[cheat];
}

void cheat_found(CheatScanner *s, Cheat cheat, FindingLevel level, Slice file, long line,
                 const char *format, ...)
{
    enum { TEXT_MAX = 1000 };
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    s->mask |= (CheatMask)1 << cheat;
    findings_addf(s->findings, level, cheat_check(cheat), file, line, "%s: %s", CHEAT_NAMES[cheat],
                  text);
}

void cheat_each_line(const CheatScanner *s, CheatPath class, CheatLineFn *fn, void *ctx)
{
    for (size_t i = 0; i < s->scan->patch->file_count; i++) {
        const PatchFile *file = &s->scan->patch->files[i];
        CheatPath is = cheat_path(patch_file_path(file), s->scan->steps);
        if (class != CHEAT_PATHS && is != class) {
            continue;
        }
        CheatLanguage language = cheat_language(patch_file_path(file));
        for (size_t h = 0; h < file->hunk_count; h++) {
            for (size_t k = 0; k < file->hunks[h].line_count; k++) {
                const PatchLine *line = &file->hunks[h].lines[k];
                if (line->kind != PATCH_CONTEXT) {
                    fn(ctx, file, is, line, cheat_code(line->text, language));
                }
            }
        }
    }
}

// ---- words

typedef struct Word {
    Cheat cheat;
    FindingLevel level;
    const char *word; // see cheat_find
    const char *says;
} Word;

static const Word WORDS[] = {
    {CHEAT_CACHE_IN_PROCESS, FINDING_NOTE, "lru_cache", "results are memoised"},
    {CHEAT_CACHE_IN_PROCESS, FINDING_NOTE, "functools.cache", "results are memoised"},
    {CHEAT_CACHE_IN_PROCESS, FINDING_NOTE, "memoize", "results are memoised"},
    {CHEAT_CACHE_IN_PROCESS, FINDING_NOTE, "WeakMap (", "results may be memoised"},
    {CHEAT_CACHE_ON_DISK, FINDING_DOUBT, "/tmp/", "a fixed file outside of the tree is named"},
    {CHEAT_CACHE_ON_DISK, FINDING_DOUBT, "/var/tmp", "a fixed file outside of the tree is named"},
    {CHEAT_CACHE_ON_DISK, FINDING_DOUBT, "/dev/shm", "memory that outlives the process is named"},
    {CHEAT_CACHE_ON_DISK, FINDING_DOUBT, "shm_open (", "memory that outlives the process is used"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "XDG_CACHE_HOME", "a cache folder is named"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "/.cache", "a cache folder is named"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "fopen (", "files are opened"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "O_CREAT", "files are created"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "writeFileSync (", "files are written"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "createWriteStream (", "files are written"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "pickle.dump", "files are written"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "shelve.open", "files are written"},
    {CHEAT_CACHE_ON_DISK, FINDING_NOTE, "tempfile", "temporary files are used"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "constructor))", "work is done before main"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "[[gnu::constructor", "work is done before main"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, ".init_array", "work is done before main"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "destructor))", "work is done after main"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "atexit (", "work is done after main"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "on_exit (", "work is done after main"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "atexit.register", "work is done at the end"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "process.on('exit'", "work is done at the end"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "process.on(\"exit\"", "work is done at the end"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "setTimeout (", "work is put off"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "setImmediate (", "work is put off"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "queueMicrotask (", "work is put off"},
    {CHEAT_WORK_MOVED, FINDING_NOTE, "process.nextTick (", "work is put off"},
    {CHEAT_BACKGROUND, FINDING_DOUBT, "daemon (", "a process is left behind"},
    {CHEAT_BACKGROUND, FINDING_DOUBT, "setsid (", "a process leaves its session"},
    {CHEAT_BACKGROUND, FINDING_DOUBT, "nohup", "a process is left behind"},
    {CHEAT_BACKGROUND, FINDING_DOUBT, "start_new_session", "a process leaves its session"},
    {CHEAT_BACKGROUND, FINDING_DOUBT, "detached : true", "a process is left behind"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "fork (", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "vfork (", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "posix_spawn (", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "popen (", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "child_process", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "subprocess", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "multiprocessing", "processes are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "pthread_create (", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "thrd_create (", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "std::thread", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "std::async", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "new Worker (", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "worker_threads", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "threading.Thread", "threads are started"},
    {CHEAT_BACKGROUND, FINDING_NOTE, "ThreadPoolExecutor", "threads are started"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "getppid", "who started the program is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "process.ppid", "who started the program is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "_getframe", "the callers on the stack are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "inspect.stack", "the callers are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "inspect.currentframe", "the callers are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "traceback.extract_stack", "the callers are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "traceback.format_stack", "the callers are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "Error ().stack", "the callers are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "arguments.callee.caller", "the callers are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "/proc/self/cmdline", "its own start is looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "/proc/self/environ", "its own start is looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "/proc/self/stat", "its own state is looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "TracerPid", "whether it is traced is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "PTRACE_TRACEME", "whether it is traced is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "program_invocation_name", "its own name is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_DOUBT, "program_invocation_short_name", "its name is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "getenv (", "the environment is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "secure_getenv (", "the environment is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "process.env", "the environment is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "os.environ", "the environment is asked"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "argv[0]", "its own name is looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "process.argv", "its arguments are looked at"},
    {CHEAT_DETECTS_HARNESS, FINDING_NOTE, "isatty (", "whether there is a terminal is asked"},
    {CHEAT_OTHER_LIBRARY, FINDING_DOUBT, "dlopen (", "a library is loaded at run time"},
    {CHEAT_OTHER_LIBRARY, FINDING_DOUBT, "ctypes.CDLL", "a library is loaded at run time"},
    {CHEAT_OTHER_LIBRARY, FINDING_DOUBT, "cdll.LoadLibrary", "a library is loaded at run time"},
    {CHEAT_OTHER_LIBRARY, FINDING_DOUBT, "process.dlopen", "a library is loaded at run time"},
    {CHEAT_FABRICATED, FINDING_DOUBT, "METRIC %", "the code prints a metric of its own"},
    {CHEAT_TESTS_SKIPPED, FINDING_NOTE, "exit (0)", "the program ends early with success"},
    {CHEAT_TESTS_SKIPPED, FINDING_NOTE, "_exit (", "the program ends without cleaning up"},
    {CHEAT_TESTS_SKIPPED, FINDING_NOTE, "process.exit (", "the program ends early"},
    {CHEAT_TESTS_SKIPPED, FINDING_NOTE, "sys.exit (0)", "the program ends early with success"},
    {CHEAT_FLAGS, FINDING_CHEAT, "#pragma GCC optimize", "a pragma raises the optimisation"},
    {CHEAT_FLAGS, FINDING_CHEAT, "((optimize (", "an attribute raises the optimisation"},
    {CHEAT_FLAGS, FINDING_CHEAT, "gnu::optimize", "an attribute raises the optimisation"},
    {CHEAT_FLAGS, FINDING_CHEAT, "#pragma float_control", "a pragma loosens arithmetic"},
    {CHEAT_FLAGS, FINDING_CHEAT, "#pragma clang fp", "a pragma loosens arithmetic"},
};

typedef struct WordCounts {
    CheatCount words[COUNT_OF(WORDS)];
    CheatCount harness; // a variable that harnesses set
} WordCounts;

// Variables that tell a program that it is measured.
static bool names_harness(Slice code)
{
    static const char *const READERS[] = {"getenv", "environ", "process.env", "env::var", NULL};
    static const char *const VARIABLES[] = {"BENCH",  "HYPERFINE",      "PERFWRIGHT", "CODSPEED",
                                            "PYTEST", "GITHUB_ACTIONS", "\"CI\"",     "'CI'",
                                            ".CI",    "LD_PRELOAD",     "PROFIL",     "ASV",
                                            NULL};
    bool reads = false;
    for (size_t i = 0; READERS[i] && !reads; i++) {
        reads = slice_find(code, slice_from_cstr(READERS[i])) >= 0;
    }
    for (size_t i = 0; VARIABLES[i] && reads; i++) {
        if (slice_find(code, slice_from_cstr(VARIABLES[i])) >= 0) {
            return true;
        }
    }
    return false;
}

static void count_words(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                        Slice code)
{
    (void)class;
    WordCounts *counts = ctx;
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        cheat_count_line(&counts->words[i], file, line, cheat_has(code, WORDS[i].word));
    }
    cheat_count_line(&counts->harness, file, line, names_harness(code));
}

void cheat_scan_words(CheatScanner *s)
{
    WordCounts counts = {0};
    cheat_each_line(s, CHEAT_PATH_SOURCE, count_words, &counts);
    if (counts.harness.net > 0) {
        cheat_found(s, CHEAT_DETECTS_HARNESS, FINDING_CHEAT, counts.harness.file,
                    counts.harness.line, "code looks for what measures it: %.*s",
                    SLICE_FMT(slice_sub(counts.harness.text, 0, 120)));
    }
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        const CheatCount *c = &counts.words[i];
        if (c->net > 0) {
            cheat_found(s, WORDS[i].cheat, WORDS[i].level, c->file, c->line, "%s (%.*s)",
                        WORDS[i].says, SLICE_FMT(slice_sub(c->text, 0, 120)));
        }
    }
}

// ---- the clock

// A definition of a function that tells the time, in C; an assignment to one, elsewhere.
static bool tampers_with_clock(Slice code, CheatLanguage language)
{
    static const char *const FUNCTIONS[] = {
        "clock_gettime", "gettimeofday", "timespec_get", "getrusage",
        "times",         "clock",        "time",         NULL};
    static const char *const SETTERS[] = {"clock_settime (", "settimeofday (", "libfaketime",
                                          "setattr(time,",   "faketime",       NULL};
    static const char *const ASSIGNED[] = {"performance.now",
                                           "Date.now",
                                           "process.hrtime",
                                           "process.hrtime.bigint",
                                           "global.Date",
                                           "globalThis.Date",
                                           "time.time",
                                           "time.perf_counter",
                                           "time.perf_counter_ns",
                                           "time.monotonic",
                                           "time.process_time",
                                           "time.time_ns",
                                           "globalThis.performance",
                                           "global.performance",
                                           NULL};
    for (size_t i = 0; SETTERS[i]; i++) {
        if (cheat_has(code, SETTERS[i])) {
            return true;
        }
    }
    for (size_t i = 0; ASSIGNED[i] && language != CHEAT_LANG_C; i++) {
        ptrdiff_t at = cheat_find(code, ASSIGNED[i]);
        Slice behind =
            at < 0 ? SLICE("")
                   : slice_trim(slice_sub(code, (size_t)at + strlen(ASSIGNED[i]), code.len));
        bool start = at == 0 || (at > 0 && slice_trim(slice_sub(code, 0, (size_t)at)).len == 0);
        if (start && behind.len > 1 && behind.ptr[0] == '=' && behind.ptr[1] != '=') {
            return true;
        }
    }
    // A static function only shares the name.
    bool own = slice_starts_with(code, SLICE("static"));
    for (size_t i = 0; FUNCTIONS[i] && language == CHEAT_LANG_C && !own; i++) {
        ptrdiff_t at = cheat_find(code, FUNCTIONS[i]);
        if (at <= 0) {
            continue;
        }
        Slice before = slice_trim(slice_sub(code, 0, (size_t)at));
        Slice behind = slice_sub(code, (size_t)at + strlen(FUNCTIONS[i]), code.len);
        bool defines = slice_eq_cstr(before, "#define") || slice_eq_cstr(before, "# define");
        // "int clock_gettime(clockid_t id, ...)" in the first column and not a declaration.
        bool type =
            cheat_is_word_byte(code.ptr[0]) && before.len > 0 &&
            (cheat_is_word_byte(before.ptr[before.len - 1]) || before.ptr[before.len - 1] == '*') &&
            slice_find_byte(before, '(') < 0 && slice_find_byte(before, '=') < 0 &&
            !slice_starts_with(before, SLICE("return"));
        if (defines || (type && slice_starts_with(behind, SLICE("(")) &&
                        !slice_ends_with(slice_trim(code), SLICE(";")))) {
            return true;
        }
    }
    return false;
}

static void count_clock(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                        Slice code)
{
    if (class != CHEAT_PATH_DOC) {
        cheat_count_line(ctx, file, line,
                         tampers_with_clock(code, cheat_language(patch_file_path(file))));
    }
}

void cheat_scan_clock(CheatScanner *s)
{
    CheatCount count = {0};
    cheat_each_line(s, CHEAT_PATHS, count_clock, &count);
    if (count.net > 0) {
        cheat_found(s, CHEAT_CLOCK, FINDING_CHEAT, count.file, count.line, "%.*s",
                    SLICE_FMT(slice_sub(count.text, 0, 120)));
    }
}

// ---- checks that are taken out

static void count_checks(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                         Slice code)
{
    static const char *const CHECKS[] = {"assert (",  "raise",       "throw",        "abort (",
                                         "return -1", "return NULL", "return false", NULL};
    (void)class;
    for (size_t i = 0; CHECKS[i]; i++) {
        cheat_count_line(ctx, file, line, cheat_has(code, CHECKS[i]));
    }
}

static void scan_removed_checks(CheatScanner *s)
{
    CheatCount count = {0};
    cheat_each_line(s, CHEAT_PATH_SOURCE, count_checks, &count);
    if (count.net < 0) {
        cheat_found(s, CHEAT_WRONG_UNSEEN, FINDING_NOTE, SLICE(""), 0,
                    "%ld refusals of bad input are taken out; hidden inputs decide", -count.net);
    }
}

static void note_code(void *ctx, const PatchFile *file, CheatPath class, const PatchLine *line,
                      Slice code)
{
    (void)file;
    (void)class;
    *(bool *)ctx |= line->kind == PATCH_ADDED && slice_trim(code).len > 0;
}

CheatMask cheat_scan_patch(const CheatScan *scan, Findings *findings)
{
    CheatScanner s = {.scan = scan, .findings = findings};
    cheat_each_line(&s, CHEAT_PATH_SOURCE, note_code, &s.code_touched);
    cheat_scan_paths(&s);
    cheat_scan_bench(&s);
    cheat_scan_tests(&s);
    cheat_scan_flags(&s);
    cheat_scan_words(&s);
    cheat_scan_clock(&s);
    cheat_scan_answers(&s);
    cheat_scan_last(&s);
    scan_removed_checks(&s);
    return s.mask;
}
