// Dockerfiles and development containers: what has to be installed, and how it is built there.
#include "improve/infer_shell.h"

static bool is_dockerfile(Slice path)
{
    Slice name = path_name(path);
    return (text_starts(name, "Dockerfile") || text_ends(name, ".dockerfile") ||
            slice_eq_cstr(name, "Containerfile")) &&
           path_depth(path) <= 2;
}

static void read_dockerfile(Inference *in, Slice path)
{
    ShellJob job;
    shell_job_init(&job, in);
    Slice rest = tree_text(in->tree, path), line;
    long number = 0;
    Slice directory = SLICE("");
    while (shell_line(in->arena, &rest, &line)) {
        number++;
        if (text_starts(line, "RUN ")) {
            shell_job_add(&job, slice_sub(line, 4, line.len), directory, SLICE(""),
                          infer_source(in, path, number));
        }
    }
    Slice name = arena_printf(in->arena, "container %.*s", SLICE_FMT(path));
    shell_job_done(&job, arena_cstr(in->arena, name), 30);
}

void infer_container(Inference *in)
{
    int taken = 0;
    for (size_t i = 0; i < in->tree->count && taken < 3; i++) {
        Slice path = in->tree->files[i].path;
        if (infer_is_below(in, path) && is_dockerfile(path)) {
            read_dockerfile(in, path);
            taken++;
        }
    }
    Slice path = SLICE(".devcontainer/devcontainer.json");
    DocOptions options = {.format = DOC_FORMAT_JSON, .source = "devcontainer.json"};
    const Doc *doc = NULL;
    Slice text = tree_text(in->tree, path);
    // With comments in it, as many have, it is no JSON, and then it says nothing here.
    if (text.len > 0 && doc_parse(in->arena, text, &options, &doc, NULL) == 0) {
        static const char *const COMMANDS[] = {"onCreateCommand", "updateContentCommand",
                                               "postCreateCommand"};
        for (size_t i = 0; i < COUNT_OF(COMMANDS); i++) {
            const Doc *d =
                doc->type == DOC_OBJECT ? doc_get(doc, slice_from_cstr(COMMANDS[i])) : NULL;
            if (d && d->type == DOC_STRING) {
                shell_packages(in, d->text, infer_source(in, path, d->line));
            }
        }
    }
}
