#include "policy/program.h"

#include <math.h>

// A recursive-descent compiler into code for a stack machine. The depth of the stack is known while
// compiling, so the machine needs no checks.

const char *const PROGRAM_SENSE_NAMES[PROGRAM_SENSES + 1] = {
    "rate",      "p50",     "p99",       "errors",  "timeouts",
    "throttled", "retries", "in_flight", "waiting", "time",
};

typedef enum OpCode {
    OP_CONSTANT,
    OP_SENSE,
    OP_PARAM,
    OP_VARIABLE,
    OP_SET_VARIABLE,
    OP_SET_TARGET,
    OP_EWMA, // argument: its variable; pops weight and value
    OP_OR,
    OP_AND,
    OP_NOT,
    OP_LESS,
    OP_AT_MOST,
    OP_EQUAL,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_NEGATE,
    OP_IF,
    OP_MIN,
    OP_MAX,
    OP_CLAMP,
    OP_ABS,
    OP_SQRT,
    OP_FLOOR,
    OP_CODES
} OpCode;

// What an operation takes from the stack; each but the SETs puts one value back.
static const uint8_t TAKES[OP_CODES] = {
    [OP_SET_VARIABLE] = 1, [OP_SET_TARGET] = 1, [OP_EWMA] = 2,    [OP_OR] = 2,     [OP_AND] = 2,
    [OP_NOT] = 1,          [OP_LESS] = 2,       [OP_AT_MOST] = 2, [OP_EQUAL] = 2,  [OP_ADD] = 2,
    [OP_SUBTRACT] = 2,     [OP_MULTIPLY] = 2,   [OP_DIVIDE] = 2,  [OP_NEGATE] = 1, [OP_IF] = 3,
    [OP_MIN] = 2,          [OP_MAX] = 2,        [OP_CLAMP] = 3,   [OP_ABS] = 1,    [OP_SQRT] = 1,
    [OP_FLOOR] = 1,
};

static const struct {
    const char *name;
    OpCode code;
} FUNCTIONS[] = {
    {"if", OP_IF},   {"min", OP_MIN},   {"max", OP_MAX},     {"clamp", OP_CLAMP},
    {"abs", OP_ABS}, {"sqrt", OP_SQRT}, {"floor", OP_FLOOR}, {"ewma", OP_EWMA},
};

static const struct {
    const char *name;
    double factor;
} UNITS[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1},
             {"m", 60},    {"h", 3600},  {"%", 0.01}};

// ---- words

typedef enum WordKind { WORD_END, WORD_NAME, WORD_NUMBER, WORD_SIGN } WordKind;

typedef struct Word {
    WordKind kind;
    Slice text;
    double number;
    size_t at;
} Word;

typedef struct Compiler {
    Slice text;
    size_t at;
    Word word; // the next one
    PolicyProgram *program;
    char names[PROGRAM_VARIABLES_MAX][PROGRAM_NAME_MAX + 1]; // "" for an ewma's own
    int depth, nesting;
    Err *e;
} Compiler;

static int fail_at(Compiler *c, size_t at, ErrCode code, const char *words)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < at && i < c->text.len; i++) {
        bool end = c->text.ptr[i] == '\n';
        line += end;
        column = end ? 1 : column + 1;
    }
    return err_set(c->e, code, "line %d, column %d: %s", line, column, words);
}

static int fail(Compiler *c, const char *words)
{
    return fail_at(c, c->word.at, ERR_PARSE, words);
}

static bool is_letter(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
}
static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static char look(const Compiler *c, size_t ahead)
{
    return c->at + ahead < c->text.len ? c->text.ptr[c->at + ahead] : '\0';
}

static void skip_blanks(Compiler *c)
{
    for (;;) {
        char ch = look(c, 0);
        if (ch == '#') {
            while (c->at < c->text.len && look(c, 0) != '\n') {
                c->at++;
            }
        } else if (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r') {
            c->at++;
        } else {
            return;
        }
    }
}

// Digits, a fraction, an exponent; then a unit, right behind it.
static int read_number(Compiler *c)
{
    double value = 0, place = 1;
    bool fraction = false;
    for (; is_digit(look(c, 0)) || (look(c, 0) == '.' && !fraction); c->at++) {
        if (look(c, 0) == '.') {
            fraction = true;
            continue;
        }
        value = value * 10 + (look(c, 0) - '0');
        place *= fraction ? 10 : 1;
    }
    value /= place;
    char next = look(c, 0);
    if ((next == 'e' || next == 'E') && (is_digit(look(c, 1)) || look(c, 1) == '-')) {
        c->at++;
        bool negative = look(c, 0) == '-';
        c->at += negative;
        int exponent = 0;
        for (; is_digit(look(c, 0)); c->at++) {
            exponent = exponent < 1000 ? exponent * 10 + (look(c, 0) - '0') : exponent;
        }
        value *= pow(10, negative ? -exponent : exponent);
    }
    if (!isfinite(value)) {
        return fail_at(c, c->word.at, ERR_PARSE, "the number is too large");
    }
    size_t from = c->at;
    while (is_letter(look(c, 0)) || look(c, 0) == '%') {
        c->at++;
    }
    Slice unit = slice_sub(c->text, from, c->at - from);
    c->word.number = value;
    if (unit.len == 0) {
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        if (slice_eq_cstr(unit, UNITS[i].name)) {
            c->word.number = value * UNITS[i].factor;
            return 0;
        }
    }
    return fail_at(c, from, ERR_PARSE, "unknown unit; there are ns, us, ms, s, m, h and %");
}

static int next_word(Compiler *c)
{
    static const char *const LONG_SIGNS[] = {"<=", ">=", "==", "!="};
    skip_blanks(c);
    c->word = (Word){.at = c->at};
    size_t from = c->at;
    char ch = look(c, 0);
    int rc = 0;
    if (c->at == c->text.len) {
        c->word.kind = WORD_END;
    } else if (is_letter(ch)) {
        c->word.kind = WORD_NAME;
        while (is_letter(look(c, 0)) || is_digit(look(c, 0)) || look(c, 0) == '.') {
            c->at++;
        }
    } else if (is_digit(ch)) {
        c->word.kind = WORD_NUMBER;
        rc = read_number(c);
    } else {
        c->word.kind = WORD_SIGN;
        c->at++;
        for (size_t i = 0; i < COUNT_OF(LONG_SIGNS); i++) {
            if (ch == LONG_SIGNS[i][0] && look(c, 0) == LONG_SIGNS[i][1]) {
                c->at++;
                break;
            }
        }
    }
    c->word.text = slice_sub(c->text, from, c->at - from);
    return rc;
}

static bool is_word(const Compiler *c, const char *text)
{
    return (c->word.kind == WORD_NAME || c->word.kind == WORD_SIGN) &&
           slice_eq_cstr(c->word.text, text);
}

static int expect(Compiler *c, const char *text, const char *words)
{
    return is_word(c, text) ? next_word(c) : fail(c, words);
}

// ---- code

static int emit(Compiler *c, OpCode code, uint8_t argument)
{
    PolicyProgram *p = c->program;
    if (p->op_count == PROGRAM_OPS_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the program is too long");
    }
    p->ops[p->op_count++] = (ProgramOp){(uint8_t)code, argument};
    bool sets = code == OP_SET_VARIABLE || code == OP_SET_TARGET;
    c->depth += (sets ? 0 : 1) - TAKES[code];
    if (c->depth > PROGRAM_DEPTH_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the expression is too deep");
    }
    return 0;
}

static int emit_constant(Compiler *c, double value)
{
    PolicyProgram *p = c->program;
    for (uint32_t i = 0; i < p->constant_count; i++) {
        if (p->constants[i] == value) {
            return emit(c, OP_CONSTANT, (uint8_t)i);
        }
    }
    if (p->constant_count == PROGRAM_CONSTANTS_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the program has too many numbers");
    }
    p->constants[p->constant_count] = value;
    return emit(c, OP_CONSTANT, (uint8_t)p->constant_count++);
}

// Its index, or -1.
static int find_variable(const Compiler *c, Slice name)
{
    for (uint32_t i = 0; i < c->program->variable_count; i++) {
        if (c->names[i][0] && slice_eq_cstr(name, c->names[i])) {
            return (int)i;
        }
    }
    return -1;
}

static int add_variable(Compiler *c, Slice name, uint8_t *ret_index)
{
    PolicyProgram *p = c->program;
    if (p->variable_count == PROGRAM_VARIABLES_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the program has too many variables");
    }
    if (name.len > PROGRAM_NAME_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the name is too long");
    }
    memcpy(c->names[p->variable_count], name.ptr ? name.ptr : "", name.len);
    *ret_index = (uint8_t)p->variable_count++;
    return 0;
}

// ---- expressions

static int expression(Compiler *c);

static int arguments(Compiler *c, OpCode code)
{
    int count = TAKES[code], rc = expect(c, "(", "a function needs its arguments in brackets");
    for (int i = 0; i < count && rc == 0; i++) {
        rc = i > 0 ? expect(c, ",", "the function needs more arguments") : 0;
        rc = rc ? rc : expression(c);
    }
    rc = rc ? rc : expect(c, ")", "the function's arguments do not end here");
    uint8_t variable = 0;
    if (rc == 0 && code == OP_EWMA) {
        rc = add_variable(c, (Slice){0}, &variable);
    }
    return rc ? rc : emit(c, code, variable);
}

static int name(Compiler *c)
{
    Slice text = c->word.text;
    for (size_t i = 0; i < COUNT_OF(FUNCTIONS); i++) {
        if (slice_eq_cstr(text, FUNCTIONS[i].name)) {
            int rc = next_word(c);
            return rc ? rc : arguments(c, FUNCTIONS[i].code);
        }
    }
    int rc;
    int variable = find_variable(c, text);
    ptrdiff_t param = policy_find(text);
    if (variable >= 0) {
        rc = emit(c, OP_VARIABLE, (uint8_t)variable);
        return rc ? rc : next_word(c);
    }
    for (uint8_t i = 0; i < PROGRAM_SENSES; i++) {
        if (slice_eq_cstr(text, PROGRAM_SENSE_NAMES[i])) {
            rc = emit(c, OP_SENSE, i);
            return rc ? rc : next_word(c);
        }
    }
    if (param < 0) {
        return fail(c, "this is neither an observation, a parameter, a function nor a variable");
    }
    rc = emit(c, OP_PARAM, (uint8_t)param);
    return rc ? rc : next_word(c);
}

static int primary(Compiler *c)
{
    if (++c->nesting > PROGRAM_DEPTH_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the expression is too deep");
    }
    int rc;
    if (c->word.kind == WORD_NUMBER) {
        rc = emit_constant(c, c->word.number);
        rc = rc ? rc : next_word(c);
    } else if (c->word.kind == WORD_NAME) {
        rc = name(c);
    } else if (is_word(c, "-")) {
        rc = next_word(c);
        rc = rc ? rc : primary(c);
        rc = rc ? rc : emit(c, OP_NEGATE, 0);
    } else if (is_word(c, "(")) {
        rc = next_word(c);
        rc = rc ? rc : expression(c);
        rc = rc ? rc : expect(c, ")", "a bracket is missing");
    } else {
        rc = fail(c, "a number, a name or a bracket has to come here");
    }
    c->nesting--;
    return rc;
}

typedef struct Operator {
    const char *sign;
    OpCode code;
    bool swapped, negated; // a > b is b < a, a != b is not a == b
} Operator;

// One level of operators of equal strength, applied from the left.
static int level(Compiler *c, const Operator *operators, size_t count, int (*below)(Compiler *))
{
    int rc = below(c);
    while (rc == 0) {
        size_t i = 0;
        while (i < count && !is_word(c, operators[i].sign)) {
            i++;
        }
        if (i == count) {
            return 0;
        }
        rc = next_word(c);
        rc = rc ? rc : below(c);
        rc = rc ? rc : emit(c, operators[i].code, operators[i].swapped);
        rc = rc == 0 && operators[i].negated ? emit(c, OP_NOT, 0) : rc;
    }
    return rc;
}

static int product(Compiler *c)
{
    static const Operator OPERATORS[] = {{"*", OP_MULTIPLY, 0, 0}, {"/", OP_DIVIDE, 0, 0}};
    return level(c, OPERATORS, COUNT_OF(OPERATORS), primary);
}

static int sum(Compiler *c)
{
    static const Operator OPERATORS[] = {{"+", OP_ADD, 0, 0}, {"-", OP_SUBTRACT, 0, 0}};
    return level(c, OPERATORS, COUNT_OF(OPERATORS), product);
}

static int comparison(Compiler *c)
{
    static const Operator OPERATORS[] = {{"<", OP_LESS, 0, 0},   {"<=", OP_AT_MOST, 0, 0},
                                         {">", OP_LESS, 1, 0},   {">=", OP_AT_MOST, 1, 0},
                                         {"==", OP_EQUAL, 0, 0}, {"!=", OP_EQUAL, 0, 1}};
    return level(c, OPERATORS, COUNT_OF(OPERATORS), sum);
}

static int negation(Compiler *c)
{
    int count = 0, rc = 0;
    for (; rc == 0 && is_word(c, "not"); count++) {
        rc = next_word(c);
    }
    rc = rc ? rc : comparison(c);
    count = count > 2 ? 2 - count % 2 : count; // two make a truth value of a number
    for (; rc == 0 && count > 0; count--) {
        rc = emit(c, OP_NOT, 0);
    }
    return rc;
}

static int conjunction(Compiler *c)
{
    static const Operator OPERATORS[] = {{"and", OP_AND, 0, 0}};
    return level(c, OPERATORS, COUNT_OF(OPERATORS), negation);
}

static int expression(Compiler *c)
{
    static const Operator OPERATORS[] = {{"or", OP_OR, 0, 0}};
    return level(c, OPERATORS, COUNT_OF(OPERATORS), conjunction);
}

// ---- statements

static int set_period(Compiler *c)
{
    int rc = next_word(c);
    rc = rc ? rc : expect(c, "=", "\"period\" is set with =");
    if (rc != 0 || c->word.kind != WORD_NUMBER) {
        return rc ? rc : fail(c, "the period is a number with a unit");
    }
    double ns = c->word.number * 1e9;
    if (!(ns >= (double)PROGRAM_PERIOD_MIN_NS && ns <= (double)PROGRAM_PERIOD_MAX_NS)) {
        return fail(c, "the period is between 100 ms and 10 min");
    }
    c->program->period_ns = (int64_t)ns;
    return next_word(c);
}

static bool name_is_taken(Slice text)
{
    for (size_t i = 0; i < COUNT_OF(FUNCTIONS); i++) {
        if (slice_eq_cstr(text, FUNCTIONS[i].name)) {
            return true;
        }
    }
    for (size_t i = 0; i < PROGRAM_SENSES; i++) {
        if (slice_eq_cstr(text, PROGRAM_SENSE_NAMES[i])) {
            return true;
        }
    }
    static const char *const WORDS[] = {"and", "or", "not", "var", "period"};
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (slice_eq_cstr(text, WORDS[i])) {
            return true;
        }
    }
    return policy_find(text) >= 0;
}

static int set_variable(Compiler *c, bool is_new)
{
    Slice text = c->word.text;
    uint8_t index = 0;
    int found = find_variable(c, text);
    if (is_new && (c->word.kind != WORD_NAME || name_is_taken(text) || found >= 0)) {
        return fail(c, "a variable needs a name of its own");
    }
    int rc = is_new ? add_variable(c, text, &index) : 0;
    index = is_new ? index : (uint8_t)found;
    rc = rc ? rc : next_word(c);
    rc = rc ? rc : expect(c, "=", "a variable is set with =");
    rc = rc ? rc : expression(c);
    return rc ? rc : emit(c, OP_SET_VARIABLE, index);
}

static int set_target(Compiler *c, PolicyParamId param)
{
    PolicyProgram *p = c->program;
    if (!POLICY_PARAMS[param].live) {
        return fail(c, "this parameter cannot be changed while running");
    }
    if (program_sets(p, param)) {
        return fail(c, "this parameter is set twice");
    }
    if (p->target_count == PROGRAM_TARGETS_MAX) {
        return fail_at(c, c->word.at, ERR_LIMIT, "the program sets too many parameters");
    }
    uint8_t index = (uint8_t)p->target_count;
    p->targets[p->target_count++] = (uint8_t)param;
    int rc = next_word(c);
    rc = rc ? rc : expect(c, "=", "a parameter is set with =");
    rc = rc ? rc : expression(c);
    return rc ? rc : emit(c, OP_SET_TARGET, index);
}

static int statement(Compiler *c)
{
    if (c->word.kind != WORD_NAME) {
        return fail(c, "a statement sets a parameter, a variable or the period");
    }
    if (is_word(c, "period")) {
        return set_period(c);
    }
    if (is_word(c, "var")) {
        int rc = next_word(c);
        return rc ? rc : set_variable(c, true);
    }
    if (find_variable(c, c->word.text) >= 0) {
        return set_variable(c, false);
    }
    ptrdiff_t param = policy_find(c->word.text);
    return param < 0 ? fail(c, "there is no such parameter; a new variable begins with \"var\"")
                     : set_target(c, (PolicyParamId)param);
}

int program_compile(Slice text, PolicyProgram *ret_program, Err *e)
{
    if (text.len > PROGRAM_TEXT_MAX) {
        return err_set(e, ERR_LIMIT, "the program has %zu bytes, the limit is %d", text.len,
                       PROGRAM_TEXT_MAX);
    }
    PolicyProgram program = {.version = PROGRAM_VERSION, .period_ns = 1000000000};
    Compiler c = {.text = text, .program = &program, .e = e};
    int rc = next_word(&c);
    while (rc == 0 && c.word.kind != WORD_END) {
        rc = statement(&c);
        rc = rc ? rc : expect(&c, ";", "a statement ends with ;");
    }
    if (rc == 0 && program.target_count == 0) {
        rc = fail(&c, "the program sets no parameter");
    }
    if (rc == 0) {
        *ret_program = program;
    }
    return rc;
}

bool program_sets(const PolicyProgram *program, PolicyParamId param)
{
    for (uint32_t i = 0; i < program->target_count; i++) {
        if (program->targets[i] == param) {
            return true;
        }
    }
    return false;
}

// ---- the machine

// Durations are seconds in a program, everything else is as in the table.
static double number_of(PolicyParamId id, ParamValue value)
{
    switch (POLICY_PARAMS[id].kind) {
    case PARAM_BOOL: return value.boolean;
    case PARAM_FLOAT: return value.real;
    case PARAM_DURATION: return (double)value.integer / 1e9;
    case PARAM_INT:
    case PARAM_SIZE:
    case PARAM_CHOICE: return (double)value.integer;
    }
    return 0;
}

static double highest_of(const Param *row)
{
    double choices = 0;
    while (row->kind == PARAM_CHOICE && row->choices[(size_t)choices + 1]) {
        choices++;
    }
    return row->kind == PARAM_CHOICE ? choices : row->max;
}

static ParamValue value_of(PolicyParamId id, double number)
{
    const Param *row = &POLICY_PARAMS[id];
    if (row->kind == PARAM_BOOL) {
        return (ParamValue){.boolean = number >= 0.5};
    }
    number *= row->kind == PARAM_DURATION ? 1e9 : 1;
    bool ranged = row->kind == PARAM_CHOICE || row->min != 0 || row->max != 0;
    if (ranged) {
        number = fmin(fmax(number, row->kind == PARAM_CHOICE ? 0 : row->min), highest_of(row));
    }
    if (row->kind == PARAM_FLOAT) {
        return (ParamValue){.real = number};
    }
    number = fmin(fmax(number, -0x1p62), 0x1p62);
    return (ParamValue){.integer = (int64_t)llround(number)};
}

static double ewma(PolicyProgram *p, uint8_t index, double x, double weight)
{
    uint32_t bit = UINT32_C(1) << index;
    if (isnan(x) || isnan(weight)) {
        return p->begun & bit ? p->variables[index] : x;
    }
    double was = p->begun & bit ? p->variables[index] : x;
    weight = fmin(fmax(weight, 0), 1);
    p->begun |= bit;
    p->variables[index] = was + weight * (x - was);
    return p->variables[index];
}

static double apply(PolicyProgram *p, ProgramOp op, const double *a)
{
    switch ((OpCode)op.code) {
    case OP_EWMA: return ewma(p, op.argument, a[0], a[1]);
    case OP_OR: return a[0] != 0 || a[1] != 0;
    case OP_AND: return a[0] != 0 && a[1] != 0;
    case OP_NOT: return a[0] == 0;
    case OP_LESS: return op.argument ? a[1] < a[0] : a[0] < a[1];
    case OP_AT_MOST: return op.argument ? a[1] <= a[0] : a[0] <= a[1];
    case OP_EQUAL: return a[0] == a[1];
    case OP_ADD: return a[0] + a[1];
    case OP_SUBTRACT: return a[0] - a[1];
    case OP_MULTIPLY: return a[0] * a[1];
    case OP_DIVIDE: return a[0] / a[1];
    case OP_NEGATE: return -a[0];
    case OP_IF: return a[0] != 0 ? a[1] : a[2];
    // Written so that what is not a number stays that: fmin and fmax would hide it.
    case OP_MIN: return a[1] < a[0] || isnan(a[1]) ? a[1] : a[0];
    case OP_MAX: return a[1] > a[0] || isnan(a[1]) ? a[1] : a[0];
    case OP_CLAMP: return a[0] < a[1] ? a[1] : a[0] > a[2] ? a[2] : a[0];
    case OP_ABS: return fabs(a[0]);
    case OP_SQRT: return sqrt(a[0]);
    case OP_FLOOR: return floor(a[0]);
    case OP_CONSTANT:
    case OP_SENSE:
    case OP_PARAM:
    case OP_VARIABLE:
    case OP_SET_VARIABLE:
    case OP_SET_TARGET:
    case OP_CODES: break;
    }
    return NAN;
}

size_t program_step(PolicyProgram *program, const ProgramSeen *seen,
                    const ParamValue values[POLICY_PARAM_COUNT],
                    ProgramChange changes[PROGRAM_TARGETS_MAX])
{
    double stack[PROGRAM_DEPTH_MAX + 1];
    size_t top = 0, count = 0;
    for (uint32_t i = 0; i < program->op_count; i++) {
        ProgramOp op = program->ops[i];
        top -= TAKES[op.code];
        if (op.code == OP_CONSTANT) {
            stack[top++] = program->constants[op.argument];
        } else if (op.code == OP_SENSE) {
            stack[top++] = seen->sense[op.argument];
        } else if (op.code == OP_PARAM) {
            stack[top++] = number_of((PolicyParamId)op.argument, values[op.argument]);
        } else if (op.code == OP_VARIABLE) {
            stack[top++] = program->variables[op.argument];
        } else if (op.code == OP_SET_VARIABLE) {
            double x = stack[top];
            program->variables[op.argument] = isfinite(x) ? x : program->variables[op.argument];
        } else if (op.code == OP_SET_TARGET) {
            PolicyParamId id = (PolicyParamId)program->targets[op.argument];
            ParamValue value = isnan(stack[top]) ? values[id] : value_of(id, stack[top]);
            if (number_of(id, value) != number_of(id, values[id])) {
                changes[count++] = (ProgramChange){id, value};
            }
        } else {
            stack[top] = apply(program, op, &stack[top]);
            top++;
        }
    }
    return count;
}
