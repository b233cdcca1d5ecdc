// Meson: options for tests and benchmarks, by their names and types.
#include "improve/infer.h"

// The text between the first pair of quotes.
static Slice quoted(Slice s)
{
    Slice head, rest;
    if (!slice_cut(s, '\'', &head, &rest)) {
        return (Slice){0};
    }
    (void)slice_cut(rest, '\'', &head, &rest);
    return head;
}

// One option(...) may go over several lines; it ends where the next begins.
static void read_options(Inference *in, Slice text, Buf *tests, Buf *benchmarks)
{
    (void)in;
    while (text.len > 0) {
        ptrdiff_t at = slice_find(text, SLICE("option("));
        if (at < 0) {
            return;
        }
        text = slice_sub(text, (size_t)at + 7, text.len);
        ptrdiff_t next = slice_find(text, SLICE("option("));
        Slice one = next < 0 ? text : slice_sub(text, 0, (size_t)next);
        Slice name = quoted(one);
        bool feature = text_has(one, "'feature'"), boolean = text_has(one, "'boolean'");
        bool odd = text_has(name, "fuzz") || text_has(name, "install") || text_has(name, "no-") ||
                   text_has(name, "no_") || text_has(name, "disable") || text_has(name, "valgrind");
        if (odd || (!feature && !boolean)) {
            continue;
        }
        Buf *into = text_has(name, "bench") ? benchmarks : text_has(name, "test") ? tests : NULL;
        if (into) {
            buf_printf(into, " -D%.*s=%s", SLICE_FMT(name), feature ? "enabled" : "true");
        }
    }
}

void infer_meson(Inference *in)
{
    Slice top = infer_path(in, "meson.build");
    Slice text = tree_text(in->tree, top);
    if (!text_has(text, "project(")) {
        return;
    }
    Buf tests = buf_create(4000), benchmarks = buf_create(4000);
    read_options(in, infer_text(in, "meson_options.txt"), &tests, &benchmarks);
    read_options(in, infer_text(in, "meson.options"), &tests, &benchmarks);
    Recipe *r =
        infer_recipe(in, "meson", in->directory, 73 + (text_has(in->ci_text, "meson") ? 9 : 0));
    Slice source = infer_source(in, top, infer_line(in, top, "project("));
    const char *build = infer_build_directory(in, in->directory);
    if (tree_has_directory(in->tree, infer_path(in, "subprojects"))) {
        // Wraps are sources to be fetched; what cannot be fetched may still be on the system.
        infer_install(in, r, source, "meson subprojects download || true");
    }
    if (benchmarks.len > 0) {
        infer_build(in, r, "with tests and benchmarks", source,
                    "meson setup %s --buildtype=release%.*s%.*s\nmeson compile -C %s", build,
                    SLICE_FMT(buf_slice(&tests)), SLICE_FMT(buf_slice(&benchmarks)), build);
    }
    infer_build(in, r, "with tests", source,
                "meson setup %s --buildtype=release%.*s\nmeson compile -C %s", build,
                SLICE_FMT(buf_slice(&tests)), build);
    infer_build(in, r, "bare", source, "meson setup %s --buildtype=release\nmeson compile -C %s",
                build, build);
    infer_test(in, r, "meson test", source, "meson test -C %s --print-errorlogs", build);
    infer_package(in, SLICE("meson"), source, true);
    infer_package(in, SLICE("ninja-build"), source, true);
    buf_done(&tests);
    buf_done(&benchmarks);
}
