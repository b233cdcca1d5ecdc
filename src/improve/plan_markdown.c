// plan.md: writing it so that a person's edits stay, and reading them back.
#include "improve/plan_doc.h"

#include <math.h>

#include "base/utf8.h"

enum { HASH_DIGITS = 8, LINE_MAX_BYTES = 1000 };

#define MARK_BEGIN "<!-- perfwright:begin "
#define MARK_END   "<!-- perfwright:end "

static bool next_line(Slice *rest, Slice *ret_line)
{
    if (rest->len == 0) {
        return false;
    }
    (void)slice_cut(*rest, '\n', ret_line, rest);
    return true;
}

static void short_hash(Slice text, char out[HASH_DIGITS + 1])
{
    char hex[SHA256_HEX + 1];
    Sha256 hash = sha256_of(text);
    sha256_hex(&hash, hex);
    (void)snprintf(out, HASH_DIGITS + 1, "%.8s", hex);
}

// ---- sections

// One line of text that cannot make a marker, a heading or a new line of its own: what a repository
// says about itself is shown, not obeyed.
static void put_line_of(Buf *out, Slice text)
{
    Buf clean = buf_create(64 << 10);
    utf8_sanitise(&clean, slice_sub(text, 0, LINE_MAX_BYTES));
    for (Slice rest = buf_slice(&clean); rest.len > 0; rest = slice_sub(rest, 1, rest.len)) {
        if (rest.ptr[0] == '<') {
            buf_puts(out, "&lt;");
        } else {
            buf_putc(out, rest.ptr[0]);
        }
    }
    buf_done(&clean);
}

static void put_summary(const PlanDoc *plan, Buf *out)
{
    buf_printf(out, "Looked at %.12s on %.*s. An attempt here is **%s**: ",
               plan->revision.len > 0 ? plan->revision.ptr : "no revision",
               SLICE_FMT(plan->created), FEASIBILITY_NAMES[plan->feasibility]);
    put_line_of(out, plan->reason);
    buf_puts(out, "\n\n");
    if (plan->resolvable > 0) {
        buf_printf(out, "The smallest effect that this machine can tell from noise: %.1f %%.\n\n",
                   100 * plan->resolvable);
    }
    buf_puts(out, "Write anywhere outside of the marked sections: it is kept and read by the next "
                  "run.\nTick a goal's box to have it left alone; add goals as lines of the same "
                  "form.\n");
}

static void put_conditions(const PlanDoc *plan, Buf *out)
{
    buf_puts(out, "## What an attempt needs\n\n| condition | | measured | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < plan->condition_count; i++) {
        const PlanCondition *c = &plan->conditions[i];
        buf_printf(out, "| %.*s | %s | ", SLICE_FMT(c->name), CONDITION_STATE_NAMES[c->state]);
        put_line_of(out, c->measured);
        buf_puts(out, " | ");
        put_line_of(out, c->reason);
        buf_puts(out, " |\n");
    }
}

static void put_goal(const PlanGoal *goal, Buf *out)
{
    buf_printf(out, "- [%s] **%.*s** round %d, %s", goal->state == GOAL_CLOSED ? "x" : " ",
               SLICE_FMT(goal->id), (int)goal->round, GOAL_KIND_NAMES[goal->kind]);
    if (goal->min_effect > 0) {
        buf_printf(out, ", at least %g %%", round(goal->min_effect * 1000) / 10);
    }
    buf_puts(out, ": ");
    put_line_of(out, goal->title);
    for (size_t i = 0; i < goal->files.count; i++) {
        buf_puts(out, i == 0 ? " (" : ", ");
        put_line_of(out, goal->files.items[i]);
    }
    buf_puts(out, goal->files.count > 0 ? ")\n" : "\n");
    if (goal->state == GOAL_REFUSED) {
        buf_puts(out, "      refused: ");
        put_line_of(out, goal->why);
        buf_putc(out, '\n');
    } else if (goal->why.len > 0) {
        buf_puts(out, "      ");
        put_line_of(out, goal->why);
        buf_putc(out, '\n');
    }
    for (Slice rest = goal->remarks, line; next_line(&rest, &line);) {
        buf_puts(out, "      > ");
        put_line_of(out, line);
        buf_putc(out, '\n');
    }
}

static void put_goals(const PlanDoc *plan, Buf *out)
{
    buf_puts(out, "## Goals\n\n");
    for (size_t i = 0; i < plan->goal_count; i++) {
        put_goal(&plan->goals[i], out);
    }
    if (plan->goal_count == 0) {
        buf_puts(out, "None was found. Add one: `- [ ] time: what should be faster (file)`\n");
    }
}

// A tree as nested lists.
static void put_tree(const Doc *d, int depth, Buf *out)
{
    for (const Doc *m = doc_first(d); m; m = doc_next(m)) {
        buf_printf(out, "%*s- ", 2 * depth, "");
        if (d->type == DOC_OBJECT) {
            put_line_of(out, m->key);
            buf_puts(out, m->type == DOC_OBJECT || m->type == DOC_ARRAY ? ":" : ": ");
        }
        switch (m->type) {
        case DOC_OBJECT:
        case DOC_ARRAY: break;
        case DOC_BOOL: buf_puts(out, m->boolean ? "yes" : "no"); break;
        case DOC_NULL: buf_puts(out, "not known"); break;
        case DOC_INT:
        case DOC_FLOAT:
        case DOC_STRING:
        case DOC_DATETIME: put_line_of(out, m->text); break;
        }
        buf_putc(out, '\n');
        if (depth < 4) {
            put_tree(m, depth + 1, out);
        }
    }
}

static void put_survey(const PlanDoc *plan, Buf *out)
{
    buf_puts(out, "## What the repository is\n\n");
    put_tree(plan->survey, 0, out);
}

static void put_profile(const PlanDoc *plan, Buf *out)
{
    buf_puts(out, "## Where the time goes\n\n");
    put_tree(plan->profile, 0, out);
}

typedef struct Section {
    const char *name;
    void (*put)(const PlanDoc *plan, Buf *out);
} Section;

static const Section SECTIONS[] = {
    {"summary", put_summary}, {"conditions", put_conditions}, {"goals", put_goals},
    {"profile", put_profile}, {"survey", put_survey},
};

static void put_section(const Section *section, const PlanDoc *plan, Buf *out)
{
    Buf body = buf_create(PLAN_BYTES_MAX);
    char hash[HASH_DIGITS + 1];
    section->put(plan, &body);
    short_hash(buf_slice(&body), hash);
    buf_printf(out, MARK_BEGIN "%s %s -->\n", section->name, hash);
    buf_append(out, buf_slice(&body));
    buf_printf(out, MARK_END "%s -->\n", section->name);
    out->overflowed = out->overflowed || body.overflowed;
    buf_done(&body);
}

// ---- finding sections in a file

typedef struct Found {
    const Section *section; // NULL: not one of ours
    Slice whole;            // markers and body
    Slice body;
    Slice hash;
} Found;

// Takes the section that begins at the front of `text`. A marker without its end is a person's
// text.
static bool section_at(Slice text, Found *ret)
{
    Slice line, rest = text, name, hash;
    if (!slice_starts_with(text, SLICE(MARK_BEGIN)) || !next_line(&rest, &line)) {
        return false;
    }
    Slice inside = slice_sub(line, sizeof MARK_BEGIN - 1, line.len);
    if (!slice_cut(inside, ' ', &name, &hash)) {
        return false;
    }
    (void)slice_cut(hash, ' ', &hash, &line);
    *ret = (Found){.hash = hash};
    for (size_t i = 0; i < COUNT_OF(SECTIONS); i++) {
        if (slice_eq_cstr(name, SECTIONS[i].name)) {
            ret->section = &SECTIONS[i];
        }
    }
    Slice body = rest;
    while (ret->section && next_line(&rest, &line)) {
        if (slice_starts_with(line, SLICE(MARK_BEGIN))) {
            return false;
        }
        if (slice_starts_with(line, SLICE(MARK_END))) {
            ret->body = slice_sub(body, 0, (size_t)(line.ptr - body.ptr));
            ret->whole = slice_sub(text, 0, text.len - rest.len);
            return true;
        }
    }
    return false;
}

static bool was_edited(const Found *found)
{
    char hash[HASH_DIGITS + 1];
    short_hash(found->body, hash);
    return !slice_eq_cstr(found->hash, hash);
}

int plan_doc_markdown(const PlanDoc *plan, Slice old, Buf *out, Err *e)
{
    if (slice_trim(old).len == 0) {
        buf_puts(out, "# Performance plan\n\n");
        for (size_t i = 0; i < COUNT_OF(SECTIONS); i++) {
            put_section(&SECTIONS[i], plan, out);
            buf_putc(out, '\n');
        }
        return buf_check(out, "plan.md", e);
    }
    for (Slice rest = old, line; rest.len > 0;) {
        Found found;
        if (!section_at(rest, &found)) {
            size_t before = rest.len;
            const char *from = rest.ptr;
            (void)next_line(&rest, &line);
            buf_append(out, (Slice){from, before - rest.len});
            continue;
        }
        // The goals' edits were read into the plan, so writing them anew loses none.
        if (was_edited(&found) && found.section->put != put_goals) {
            buf_append(out, found.whole);
        } else {
            put_section(found.section, plan, out);
        }
        rest = slice_sub(rest, found.whole.len, rest.len);
    }
    return buf_check(out, "plan.md", e);
}

// ---- reading a person's edits

static Slice without(Slice s, size_t count)
{
    return slice_trim(slice_sub(s, count, s.len));
}

// "round 2, memory, at least 10 %": true when all of it is of that kind.
static bool read_head(Slice head, PlanGoal *goal)
{
    for (Slice rest = head, word; rest.len > 0;) {
        (void)slice_cut(rest, ',', &word, &rest);
        word = slice_trim(word);
        int64_t round_number = 0;
        double percent = 0;
        bool known = false;
        for (int i = 0; i < GOAL_KINDS; i++) {
            if (slice_eq_nocase(word, slice_from_cstr(GOAL_KIND_NAMES[i]))) {
                goal->kind = i;
                known = true;
            }
        }
        if (slice_starts_with(word, SLICE("round ")) &&
            slice_to_i64(without(word, 6), &round_number) == 0 && round_number >= 1 &&
            round_number <= 9) {
            goal->round = round_number;
            known = true;
        }
        if (slice_starts_with(word, SLICE("at least ")) && slice_ends_with(word, SLICE("%")) &&
            slice_to_f64(slice_trim(slice_sub(word, 9, word.len - 10)), &percent) == 0 &&
            percent >= 0 && percent < 100) {
            goal->min_effect = fmin(percent / 100, 0.99);
            known = true;
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

// "title (a.c, b.c)": files only where each looks like one.
static void read_title(Arena *arena, Slice text, PlanGoal *goal)
{
    goal->title = slice_sub(text, 0, 300);
    goal->files = (FieldNames){0};
    size_t open = text.len;
    while (open > 0 && text.ptr[open - 1] != '(') {
        open--;
    }
    if (open == 0 || text.ptr[text.len - 1] != ')') {
        return;
    }
    Slice *files = ARENA_ARRAY(arena, Slice, PLAN_FILES_MAX);
    size_t count = 0;
    for (Slice rest = slice_sub(text, open, text.len - open - 1), file; rest.len > 0;) {
        (void)slice_cut(rest, ',', &file, &rest);
        file = slice_trim(file);
        bool twice = false;
        for (size_t i = 0; i < count; i++) {
            twice = twice || slice_eq(files[i], file);
        }
        if (file.len == 0 || twice || count == PLAN_FILES_MAX ||
            (slice_find_byte(file, '.') < 0 && slice_find_byte(file, '/') < 0)) {
            return;
        }
        files[count++] = file;
    }
    goal->files = (FieldNames){files, count, NULL};
    goal->title = slice_trim(slice_sub(text, 0, open - 1));
}

static bool same_files(const FieldNames *a, const FieldNames *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = slice_eq(a->items[i], b->items[i]);
    }
    return same;
}

// What the line says over what is there.
static void change_goal(PlanGoal *goal, const PlanGoal *said)
{
    // The file holds what was written with utf8_sanitise and a limit, so compare the same.
    Buf written = buf_create(64 << 10);
    put_line_of(&written, goal->title);
    bool same = slice_eq(buf_slice(&written), said->title) && goal->kind == said->kind &&
                goal->round == said->round && same_files(&goal->files, &said->files) &&
                fabs(goal->min_effect - said->min_effect) < 0.0006;
    buf_done(&written);
    if (!same) {
        goal->title = said->title;
        goal->kind = said->kind;
        goal->round = said->round;
        goal->files = said->files;
        goal->min_effect = said->min_effect;
        goal->by_person = true;
    }
    if (said->state == GOAL_CLOSED) {
        goal->state = GOAL_CLOSED;
    } else if (goal->state == GOAL_CLOSED) {
        goal->state = GOAL_OPEN;
    }
}

// A line of a list with a box. *ret_goal is the one of the plan that it is about.
static int take_goal(Arena *arena, Slice line, PlanDoc *plan, PlanGoal **ret_goal, Err *e)
{
    PlanGoal said = {.round = 1, .state = line.ptr[3] == ' ' ? GOAL_OPEN : GOAL_CLOSED};
    Slice text = without(line, 5), head, tail;
    bool has_id = slice_starts_with(text, SLICE("**"));
    if (has_id && !slice_cut(slice_sub(text, 2, text.len), '*', &said.id, &text)) {
        return 0;
    }
    if (has_id) {
        text = without(text, text.len > 0 && text.ptr[0] == '*');
    }
    PlanGoal head_only = said;
    if (slice_cut(text, ':', &head, &tail) && read_head(slice_trim(head), &head_only)) {
        said = head_only;
        text = slice_trim(tail);
    }
    if (text.len == 0) {
        return 0;
    }
    read_title(arena, text, &said);
    for (size_t i = 0; i < plan->goal_count; i++) {
        if (slice_eq(plan->goals[i].id, said.id)) {
            change_goal(&plan->goals[i], &said);
            *ret_goal = &plan->goals[i];
            return 0;
        }
    }
    char hash[HASH_DIGITS + 1];
    short_hash(said.title, hash);
    said.id = arena_printf(arena, "p%s", hash);
    said.title = arena_copy(arena, said.title);
    said.by_person = true;
    if (said.title.len == 0 || plan_doc_goal(plan, said.id)) {
        return 0;
    }
    if (plan->goal_count == PLAN_GOALS_MAX) {
        return err_set(e, ERR_LIMIT, "plan.md has more than %d goals", PLAN_GOALS_MAX);
    }
    plan->goals[plan->goal_count++] = said;
    *ret_goal = &plan->goals[plan->goal_count - 1];
    return 0;
}

static int take_goals(Arena *arena, Slice body, PlanDoc *plan, Err *e)
{
    PlanGoal *goal = NULL, *remarked = NULL;
    size_t known = plan->goal_count;
    bool seen[PLAN_GOALS_MAX] = {false};
    for (Slice rest = body, line; next_line(&rest, &line);) {
        Slice text = slice_trim(line);
        if (text.len > 5 && text.ptr[0] == '-' && text.ptr[1] == ' ' && text.ptr[2] == '[' &&
            text.ptr[4] == ']') {
            goal = NULL;
            int rc = take_goal(arena, text, plan, &goal, e);
            if (rc != 0) {
                return rc;
            }
            if (goal) {
                seen[goal - plan->goals] = true;
            }
        } else if (goal && slice_starts_with(text, SLICE(">"))) {
            Slice before = remarked == goal ? goal->remarks : SLICE("");
            goal->remarks =
                slice_sub(arena_printf(arena, "%.*s%s%.*s", SLICE_FMT(before),
                                       before.len > 0 ? "\n" : "", SLICE_FMT(without(text, 1))),
                          0, PLAN_TEXT_MAX);
            remarked = goal;
        }
    }
    for (size_t i = 0; i < known; i++) { // a line that was deleted is a goal that is not wanted
        plan->goals[i].state = seen[i] ? plan->goals[i].state : GOAL_CLOSED;
    }
    return 0;
}

int plan_doc_take_edits(Arena *arena, Slice markdown, PlanDoc *plan, Err *e)
{
    if (markdown.len > PLAN_BYTES_MAX) {
        return err_set(e, ERR_LIMIT, "plan.md has %zu bytes, the limit is %d", markdown.len,
                       PLAN_BYTES_MAX);
    }
    PlanGoal *goals = ARENA_ARRAY(arena, PlanGoal, PLAN_GOALS_MAX);
    for (size_t i = 0; i < plan->goal_count; i++) {
        goals[i] = plan->goals[i];
    }
    plan->goals = goals;
    Buf comments = buf_create(PLAN_BYTES_MAX);
    int rc = 0;
    for (Slice rest = arena_copy(arena, markdown), line; rc == 0 && rest.len > 0;) {
        Found found;
        if (section_at(rest, &found)) {
            if (found.section->put == put_goals && was_edited(&found)) {
                rc = take_goals(arena, found.body, plan, e);
            }
            rest = slice_sub(rest, found.whole.len, rest.len);
        } else if (next_line(&rest, &line) && slice_trim(line).len > 0 &&
                   !slice_eq_cstr(slice_trim(line), "# Performance plan")) {
            buf_append(&comments, line);
            buf_putc(&comments, '\n');
        }
    }
    plan->comments = arena_copy(arena, slice_sub(buf_slice(&comments), 0, PLAN_COMMENTS_MAX));
    buf_done(&comments);
    return rc;
}
