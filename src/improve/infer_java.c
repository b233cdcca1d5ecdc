// Maven and Gradle. Checks of style, licences and signatures are not the build that is measured.
#include "improve/infer.h"

#define QUIET                                                                                      \
    "-Drat.skip=true -Dcheckstyle.skip -Dspotless.check.skip=true -Denforcer.skip=true "           \
    "-Dmaven.javadoc.skip=true -Dgpg.skip=true -Djacoco.skip=true -Danimal.sniffer.skip=true "     \
    "-Dlicense.skip=true -Dspotbugs.skip=true -Dpmd.skip=true -Dfmt.skip -Dformatter.skip=true "   \
    "-Dsortpom.skip -Dcyclonedx.skip=true -Dmoditect.skip=true -Dcpd.skip=true"

static bool is_class_name(Slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z') && !(ch >= '0' && ch <= '9') &&
            ch != '_') {
            return false;
        }
    }
    return name.len > 0;
}

// The shortest class of tests by the runner's own rules for names; where there is none, the name of
// none. The smallest file is the one most likely to be fast.
static Slice small_test(Inference *in, Slice directory)
{
    Slice best = SLICE("NoSuchTestAtAll");
    int64_t best_bytes = INT64_MAX;
    Slice below = slice_eq_cstr(directory, ".") ? (Slice){0} : directory;
    for (size_t i = 0; i < in->tree->count; i++) {
        const TreeFile *f = &in->tree->files[i];
        if (!text_ends(f->path, "Test.java") || !text_has(f->path, "src/test/") ||
            !slice_starts_with(f->path, below) || f->bytes >= best_bytes) {
            continue;
        }
        Slice file = path_name(f->path), name = slice_sub(file, 0, file.len - strlen(".java"));
        Slice text = tree_text(in->tree, f->path);
        bool runs = text_has(text, "@Test") || text_has(text, "extends TestCase");
        if (runs && !text_has(text, "abstract class") && is_class_name(name)) {
            best = name;
            best_bytes = f->bytes;
        }
    }
    return best;
}

static void add_maven(Inference *in, Slice path, int score)
{
    Slice source = infer_source(in, path, 1), text = tree_text(in->tree, path);
    Recipe *r = infer_recipe(in, "maven", path_directory(path), score);
    // The compiler of the day no longer takes what old projects ask for.
    const char *level = "";
    static const char *const OLD[] = {"source>1.3<", "source>1.4<", "source>1.5<", "source>1.6<",
                                      "source>5<",   "source>6<",   "source>1.7<", "source>7<"};
    for (size_t i = 0; i < COUNT_OF(OLD); i++) {
        if (text_has(text, OLD[i])) {
            level = " -Dmaven.compiler.source=8 -Dmaven.compiler.target=8";
        }
    }
    // dependency:go-offline misses what plugins load when they run, so they are run. The runner of
    // tests loads the part for the test framework only when there is a test to run: one is enough.
    infer_install(in, r, source,
                  "mvn -B -ntp -Dmaven.artifact.threads=10 " QUIET "%s -Dtest=%.*s "
                  "-DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false "
                  "-Dmaven.test.failure.ignore=true test",
                  level, SLICE_FMT(small_test(in, path_directory(path))));
    infer_build(in, r, "classes", source, "mvn -o -B -ntp " QUIET "%s test-compile", level);
    infer_build(in, r, "package", source, "mvn -o -B -ntp " QUIET "%s -DskipTests package", level);
    infer_test(in, r, "mvn test", source, "mvn -o -B -ntp " QUIET "%s test", level);
    infer_package(in, SLICE("maven"), source, true);
}

static void add_gradle(Inference *in, Slice path, int score)
{
    Slice source = infer_source(in, path, 1);
    Recipe *r = infer_recipe(in, "gradle", path_directory(path), score);
    bool wrapper = tree_has(in->tree, path_join(in->arena, path_directory(path), SLICE("gradlew")));
    const char *gradle = wrapper ? "sh ./gradlew" : "gradle";
    infer_install(in, r, source, "%s --no-daemon testClasses assemble", gradle);
    infer_build(in, r, "assemble", source, "%s --no-daemon --offline assemble", gradle);
    infer_test(in, r, "test", source, "%s --no-daemon --offline test", gradle);
}

static void jmh_classes(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (!infer_is_below(in, path) || (!text_ends(path, ".java") && !text_ends(path, ".kt"))) {
            continue;
        }
        Slice text = tree_text(in->tree, path);
        if (!text_has(text, "openjdk.jmh")) {
            continue;
        }
        Slice rest = text, line;
        long number = 0;
        bool next = false;
        Slice file = path_name(path);
        Slice type = slice_sub(file, 0, file.len - path_extension(path).len - 1);
        while (text_line(&rest, &line, &number)) {
            line = slice_trim(line);
            if (text_starts(line, "@Benchmark") && !text_starts(line, "@BenchmarkMode")) {
                next = true;
            } else if (next && text_has(line, "(") && !text_starts(line, "@")) {
                Slice head, tail;
                (void)slice_cut(line, '(', &head, &tail);
                head = slice_trim(head);
                size_t from = head.len;
                while (from > 0 && head.ptr[from - 1] != ' ') {
                    from--;
                }
                Slice name = arena_printf(in->arena, "%.*s.%.*s", SLICE_FMT(type),
                                          SLICE_FMT(slice_sub(head, from, head.len)));
                infer_benchmark(in, name, (Slice){0}, in->directory, "jmh",
                                infer_source(in, path, number));
                next = false;
            }
        }
    }
}

void infer_java(Inference *in)
{
    jmh_classes(in);
    static const char *const GRADLE[] = {"build.gradle", "build.gradle.kts", "settings.gradle",
                                         "settings.gradle.kts"};
    size_t before = in->recipe_count;
    if (infer_has(in, "pom.xml")) {
        add_maven(in, infer_path(in, "pom.xml"), 74);
    }
    for (size_t i = 0; i < COUNT_OF(GRADLE); i++) {
        if (infer_has(in, GRADLE[i])) {
            add_gradle(in, infer_path(in, GRADLE[i]), 68);
            break;
        }
    }
    for (size_t i = 0; i < in->tree->count && in->recipe_count == before; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && slice_eq_cstr(path_name(path), "pom.xml") &&
            path_depth(path) <= path_depth(in->directory) + 1) {
            add_maven(in, path, 60);
        }
    }
}
