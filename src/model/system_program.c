#include "model/system_program.h"

#include <assert.h>

int system_program(const System *sys, SystemPlace place, uint32_t index, Slice text,
                   SystemProgram *ret_program, Err *e)
{
    SystemProgram p = {.range_count = 0};
    int rc = program_compile(text, &p.program, e);
    for (uint32_t i = 0; rc == 0 && i < p.program.target_count; i++) {
        uint8_t param = p.program.targets[i];
        const SystemRange *range = system_range(sys, (SystemParam){place, index, param});
        if (range) {
            p.ranges[p.range_count++] =
                (ProgramRange){(PolicyParamId)param, range->low, range->high};
        }
    }
    if (rc == 0) {
        *ret_program = p;
    }
    return rc;
}

int system_program_allowed(const System *sys, SystemPlace place, uint32_t index,
                           const SystemProgram *program, Err *e)
{
    for (uint32_t i = 0; i < program->program.target_count; i++) {
        SystemParam what = {place, index, program->program.targets[i]};
        if (!system_range(sys, what)) {
            Buf name = buf_create(1 << 10);
            system_param_name(sys, what, &name);
            int rc =
                err_set(e, ERR_REFUSED, "the program sets %.*s, for which its owner gives no range",
                        SLICE_FMT(buf_slice(&name)));
            buf_done(&name);
            return rc;
        }
    }
    return 0;
}

static void start(const System *sys, Virtual *v, SystemPlace place, uint32_t index, Slice text)
{
    SystemProgram p;
    if (text.len == 0) {
        return;
    }
    int rc = system_program(sys, place, index, text, &p, NULL);
    assert(rc == 0); // it was compiled when it came in
    rc = place == PLACE_EDGE
             ? virtual_set_program(v, index, &p.program, p.ranges, p.range_count, NULL)
             : virtual_service_set_program(v, index, &p.program, p.ranges, p.range_count, NULL);
    assert(rc == 0);
    (void)rc;
}

void system_programs_start(const System *sys, Virtual *v)
{
    for (uint32_t i = 0; i < sys->edge_count; i++) {
        start(sys, v, PLACE_EDGE, i, sys->edges[i].program);
    }
    for (uint32_t i = 0; i < sys->agent_count; i++) {
        start(sys, v, PLACE_AGENT, i, sys->agents[i].program);
    }
}
