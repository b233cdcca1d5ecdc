// The experiments on coordination, each one command:
//
//     bench/manage/experiment e1|e2|e3|e5 [--system FILE] [--seed N] [--quick] [--live]
//                             [--json FILE] [--rho R] [--runs N] [--negotiated] [--tell RUN]
//
// Prints markdown tables; docs/internals/experiments.md says what is measured and how.
#include "experiment.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_write.h"
#include "os/jobs.h"
#include "stat/dist.h"
#include "stat/sample.h"

enum { OUT_BYTES_MAX = 4 << 20, TEXT_MAX = 1024, THREADS = 2 };

// ---- threads

typedef struct Part {
    Job job;
    PartFn *fn;
    void *context;
    size_t index;
} Part;

static void run_part(Job *job)
{
    Part *part = CONTAINER_OF(job, Part, job);
    part->fn(part->context, part->index);
}

int experiment_parallel(size_t count, int threads, PartFn *fn, void *context, Err *e)
{
    Loop *loop = NULL;
    JobPool *pool = NULL;
    int rc = loop_create(&(LoopOptions){0}, &loop, e);
    if (rc != 0) {
        return rc;
    }
    JobOptions options = {
        .name = "run", .threads = threads > 0 ? threads : THREADS, .queue_max = count + 1};
    rc = jobs_create(&options, &pool, e);
    Part *parts = mem_zalloc((count + 1) * sizeof *parts);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        parts[i] = (Part){.job = {.run = run_part}, .fn = fn, .context = context, .index = i};
        rc = jobs_submit(pool, loop, &parts[i].job, e);
    }
    if (pool) {
        jobs_drain(pool, loop);
    }
    jobs_destroy(pool);
    loop_destroy(loop);
    free(parts);
    return rc;
}

// ---- tables

Cell cell_mean(const double *runs, size_t count, int digits)
{
    size_t finite = 0;
    for (size_t i = 0; i < count; i++) {
        finite += isfinite(runs[i]) != 0;
    }
    Cell cell = {.digits = digits};
    if (finite < count) {
        double *sorted = mem_alloc(count * sizeof *sorted);
        memcpy(sorted, runs, count * sizeof *sorted);
        sample_sort(sorted, count);
        cell.low = sorted[0];
        cell.value = sorted[count / 2];
        cell.high = sorted[count - 1];
        free(sorted);
        return cell;
    }
    cell.value = sample_mean(runs, count);
    double half = count > 1 ? dist_t_quantile(0.975, (double)count - 1) *
                                  sqrt(sample_variance(runs, count) / (double)count)
                            : 0;
    cell.low = cell.value - half;
    cell.high = cell.value + half;
    return cell;
}

Cell cell_number(double value, int digits)
{
    return (Cell){.value = value, .low = value, .high = value, .digits = digits};
}

Cell cell_text(Slice text)
{
    return (Cell){.text = text};
}

static void print_value(double value, int digits, Buf *out)
{
    if (isfinite(value)) {
        buf_printf(out, "%.*f", digits, value);
    } else {
        buf_puts(out, isnan(value) ? "-" : "inf");
    }
}

static void print_cell(const Cell *cell, Buf *out)
{
    if (cell->text.len > 0) {
        buf_append(out, cell->text);
        return;
    }
    print_value(cell->value, cell->digits, out);
    if (cell->low == cell->high || isnan(cell->value)) {
        return;
    }
    if (isfinite(cell->low) && isfinite(cell->high)) {
        buf_puts(out, " ± ");
        print_value(cell->high - cell->value, cell->digits, out);
    } else {
        buf_puts(out, " [");
        print_value(cell->low, cell->digits, out);
        buf_puts(out, ", ");
        print_value(cell->high, cell->digits, out);
        buf_puts(out, "]");
    }
}

static void json_cell(JsonWriter *w, const char *column, const Cell *cell)
{
    json_key(w, slice_from_cstr(column));
    if (cell->text.len > 0) {
        json_string(w, cell->text);
        return;
    }
    double numbers[] = {cell->value, cell->low, cell->high};
    json_array_begin(w);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (isinf(numbers[i])) {
            json_cstr(w, "infinite");
        } else {
            json_double(w, numbers[i]);
        }
    }
    json_array_end(w);
}

static void json_table(Experiment *x, const Table *t)
{
    buf_puts(&x->json, x->json_more ? ",\n" : "[\n");
    x->json_more = true;
    JsonWriter w = json_writer(&x->json, 1);
    json_object_begin(&w);
    json_field_cstr(&w, "title", t->title);
    json_key(&w, SLICE("rows"));
    json_array_begin(&w);
    for (size_t r = 0; r < t->rows; r++) {
        json_object_begin(&w);
        for (size_t c = 0; c < t->column_count; c++) {
            json_cell(&w, t->columns[c], &t->cells[r][c]);
        }
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

static void flush(Experiment *x)
{
    fwrite(x->out.data, 1, x->out.len, stdout);
    fflush(stdout);
    buf_reset(&x->out);
}

void experiment_print(Experiment *x, const Table *t)
{
    buf_printf(&x->out, "\n**%s**\n\n|", t->title);
    for (size_t c = 0; c < t->column_count; c++) {
        buf_printf(&x->out, " %s |", t->columns[c]);
    }
    buf_puts(&x->out, "\n|");
    for (size_t c = 0; c < t->column_count; c++) {
        buf_puts(&x->out, "---|");
    }
    for (size_t r = 0; r < t->rows; r++) {
        buf_puts(&x->out, "\n|");
        for (size_t c = 0; c < t->column_count; c++) {
            buf_putc(&x->out, ' ');
            print_cell(&t->cells[r][c], &x->out);
            buf_puts(&x->out, " |");
        }
    }
    buf_puts(&x->out, "\n\n");
    json_table(x, t);
    flush(x);
}

void experiment_say(Experiment *x, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_printf(&x->out, "%s\n", text);
    flush(x);
}

// ---- the command

static const struct {
    const char *name;
    ExperimentFn *run;
} EXPERIMENTS[] = {
    {"e1", experiment_e1}, {"e2", experiment_e2}, {"e3", experiment_e3}, {"e5", experiment_e5}};

static int write_json(Experiment *x, const char *path, Err *e)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        return err_set(e, ERR_IO, "cannot write %s", path);
    }
    buf_puts(&x->json, x->json_more ? "\n]\n" : "[]\n");
    fwrite(x->json.data, 1, x->json.len, f);
    return fclose(f) == 0 ? 0 : err_set(e, ERR_IO, "cannot write %s", path);
}

static int usage(void)
{
    fputs("usage: experiment e1|e2|e3|e5 [--system FILE] [--seed N] [--quick] [--live] "
          "[--json FILE]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    Experiment x = {.system_path = "examples/codegen-pipeline/system.toml",
                    .seed = 1,
                    .tell = -1,
                    .out = buf_create(OUT_BYTES_MAX),
                    .json = buf_create(OUT_BYTES_MAX)};
    const char *name = argc > 1 ? argv[1] : "", *json = NULL;
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--quick") == 0) {
            x.quick = true;
        } else if (strcmp(argv[i], "--live") == 0) {
            x.live = true;
        } else if (strcmp(argv[i], "--negotiated") == 0) {
            x.only_negotiated = true;
        } else if (strcmp(argv[i], "--tell") == 0 && value) {
            x.tell = strtoll(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--rho") == 0 && value) {
            x.rho = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--runs") == 0 && value) {
            x.runs = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--system") == 0 && value) {
            x.system_path = argv[++i];
        } else if (strcmp(argv[i], "--seed") == 0 && value) {
            x.seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--json") == 0 && value) {
            json = argv[++i];
        } else {
            return usage();
        }
    }
    Err e = {0};
    int rc = ERR_ARG;
    x.arena = arena_create((size_t)2 << 30);
    for (size_t i = 0; i < COUNT_OF(EXPERIMENTS); i++) {
        if (strcmp(name, EXPERIMENTS[i].name) == 0) {
            rc = EXPERIMENTS[i].run(&x, &e);
            if (rc == 0 && json) {
                rc = write_json(&x, json, &e);
            }
            break;
        }
    }
    if (rc != 0 && e.text[0]) {
        fprintf(stderr, "experiment: %s\n", e.text);
    } else if (rc != 0) {
        (void)usage();
    }
    arena_destroy(x.arena);
    buf_done(&x.out);
    buf_done(&x.json);
    return rc == 0 ? 0 : 1;
}
