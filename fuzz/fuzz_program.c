// Policy programs: any text compiles or is refused with a place; what compiles ends after its
// operations, sets only parameters that may be set, and sets them to what the table allows.
#include <assert.h>
#include <math.h>

#include "policy/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PolicyProgram p;
    Err e = {0};
    int rc = program_compile((Slice){(const char *)data, size}, &p, &e);
    if (rc != 0) {
        assert(rc == ERR_PARSE || rc == ERR_LIMIT);
        assert(e.text[0]);
        return 0;
    }
    assert(p.target_count > 0 && p.period_ns >= PROGRAM_PERIOD_MIN_NS);
    ParamValue values[POLICY_PARAM_COUNT];
    policy_defaults(values);
    static const double SEEN[] = {0, 20, NAN, INFINITY, -3};
    for (size_t step = 0; step < 5; step++) {
        ProgramSeen seen;
        for (size_t i = 0; i < PROGRAM_SENSES; i++) {
            seen.sense[i] = SEEN[(step + i) % 5];
        }
        ProgramChange changes[PROGRAM_TARGETS_MAX];
        size_t count = program_step(&p, &seen, values, changes);
        assert(count <= p.target_count);
        for (size_t i = 0; i < count; i++) {
            size_t index;
            const ParamTable *owner = policy_owner(changes[i].param, &index);
            assert(program_sets(&p, changes[i].param) && POLICY_PARAMS[changes[i].param].live);
            assert(param_check(owner, index, changes[i].value, NULL) == 0);
            values[changes[i].param] = changes[i].value;
        }
    }
    return 0;
}
