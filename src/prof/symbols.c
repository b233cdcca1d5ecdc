#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "prof/profile.h"
#include "prof/profile_impl.h"

// From addresses to names by elfutils: libdwfl finds the modules of a process as they lie in its
// memory, libdw reads their line tables and the tree of inlined calls. The only file that includes
// them. Slow the first time a module is touched (its debug information is indexed), so symbols are
// looked up once, when a profile is done.

enum { LINES_MAX = 64, BUILD_ID_MAX = 64 };

typedef struct Resolver {
    Profile *profile;
    Dwfl *dwfl;
    Arena *arena;
} Resolver;

// Debug information in the file itself, or where Debian's -dbgsym packages put it. elfutils' own
// search would also ask servers on the network when DEBUGINFOD_URLS is set, and a profile must not.
static int find_debuginfo(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
                          const char *file, const char *link, GElf_Word crc, char **ret_path)
{
    (void)userdata;
    (void)name;
    (void)base;
    (void)file;
    (void)link;
    (void)crc;
    const unsigned char *id;
    GElf_Addr at;
    int len = dwfl_module_build_id(mod, &id, &at);
    if (len < 2 || len > BUILD_ID_MAX) {
        return -1;
    }
    Buf path = buf_create(PATH_MAX);
    buf_puts(&path, "/usr/lib/debug/.build-id/");
    buf_append_hex(&path, id, 1);
    buf_putc(&path, '/');
    buf_append_hex(&path, id + 1, (size_t)len - 1);
    buf_puts(&path, ".debug");
    int fd = open(path.data, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        buf_done(&path);
        return -1;
    }
    *ret_path = path.data; // libdwfl frees it
    return fd;
}

static const Dwfl_Callbacks CALLBACKS = {
    .find_elf = dwfl_linux_proc_find_elf,
    .find_debuginfo = find_debuginfo,
    .section_address = dwfl_offline_section_address,
};

// ---- modules

static int add_module(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr start,
                      void *ctx)
{
    Resolver *r = ctx;
    Profile *p = r->profile;
    Module *m = &p->modules[p->module_count++];
    const char *file = NULL;
    GElf_Addr id_at;
    const unsigned char *id;
    Dwarf_Addr limit;
    (void)dwfl_module_info(mod, NULL, NULL, &limit, NULL, NULL, &file, NULL);
    m->id = p->module_count;
    m->start = start;
    m->limit = limit;
    m->path = arena_copy(r->arena, slice_from_cstr(file ? file : name));
    int len = dwfl_module_build_id(mod, &id, &id_at);
    if (len > 0 && len <= BUILD_ID_MAX) {
        Buf hex = buf_create((size_t)2 * BUILD_ID_MAX + 1);
        buf_append_hex(&hex, id, (size_t)len);
        m->build_id = arena_copy(r->arena, buf_slice(&hex));
        buf_done(&hex);
    }
    *userdata = m;
    return DWARF_CB_OK;
}

static int count_module(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr start,
                        void *ctx)
{
    (void)mod;
    (void)userdata;
    (void)name;
    (void)start;
    ++*(size_t *)ctx;
    return DWARF_CB_OK;
}

static int report(Resolver *r, int pid, Err *e)
{
    r->dwfl = dwfl_begin(&CALLBACKS);
    if (!r->dwfl) {
        return err_set(e, ERR_IO, "cannot read symbols: %s", dwfl_errmsg(-1));
    }
    dwfl_report_begin(r->dwfl);
    int rc = dwfl_linux_proc_report(r->dwfl, pid);
    if (rc > 0) {
        return err_errno(e, ERR_IO, rc, "cannot read the memory map of process %d", pid);
    }
    if (rc < 0 || dwfl_report_end(r->dwfl, NULL, NULL) != 0) {
        return err_set(e, ERR_IO, "cannot read the modules of process %d: %s", pid,
                       dwfl_errmsg(-1));
    }
    size_t count = 0;
    (void)dwfl_getmodules(r->dwfl, count_module, &count, 0);
    r->profile->modules = ARENA_ARRAY(r->arena, Module, count + 1);
    r->profile->module_count = 0;
    (void)dwfl_getmodules(r->dwfl, add_module, r, 0);
    return 0;
}

// ---- one address

typedef struct Place {
    const char *file;
    int line;
} Place;

static Place place_of(Dwfl_Module *mod, Dwarf_Addr address)
{
    Place place = {NULL, 0};
    Dwfl_Line *line = dwfl_module_getsrc(mod, address);
    if (line) {
        place.file = dwfl_lineinfo(line, NULL, &place.line, NULL, NULL, NULL);
    }
    return place;
}

// Where the inlined function `die` was called from.
static Place place_of_call(Dwarf_Die *cu, Dwarf_Die *die)
{
    Place place = {NULL, 0};
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 &&
        dwarf_getsrcfiles(cu, &files, &count) == 0 && file < count) {
        place.file = dwarf_filesrc(files, file, NULL, NULL);
    }
    (void)dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    place.line = (int)line;
    return place;
}

static const char *name_of(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
    return name ? name : "??";
}

static void add_line(Resolver *r, Line *lines, size_t *count, const char *function, Place place)
{
    Function *f =
        profile_function(r->profile, slice_from_cstr(function), slice_from_cstr(place.file));
    if (f && *count < LINES_MAX) {
        lines[(*count)++] = (Line){f, place.line};
    }
}

// The chain of inlined calls at the address, the innermost first; 0 without debug information.
static size_t inlined(Resolver *r, Dwfl_Module *mod, Dwarf_Addr address, Line *lines)
{
    Dwarf_Addr bias;
    Dwarf_Die *cu = dwfl_module_addrdie(mod, address, &bias), *scopes = NULL, *chain = NULL;
    size_t count = 0;
    int inner = cu ? dwarf_getscopes(cu, address - bias, &scopes) : 0;
    // Behind an inlined function dwarf_getscopes goes on where it was defined, not where it was
    // inlined; the other call walks the tree as it is.
    int depth = inner > 0 ? dwarf_getscopes_die(&scopes[0], &chain) : 0;
    Place place = place_of(mod, address);
    for (int i = 0; i < depth; i++) {
        int tag = dwarf_tag(&chain[i]);
        if (tag == DW_TAG_inlined_subroutine) {
            add_line(r, lines, &count, name_of(&chain[i]), place);
            place = place_of_call(cu, &chain[i]);
        } else if (tag == DW_TAG_subprogram) {
            add_line(r, lines, &count, name_of(&chain[i]), place);
            break;
        }
    }
    free(scopes);
    free(chain);
    return count;
}

static void resolve_one(Resolver *r, Location *l)
{
    Line lines[LINES_MAX];
    Dwfl_Module *mod = dwfl_addrmodule(r->dwfl, l->address);
    if (!mod) {
        return;
    }
    void **userdata;
    (void)dwfl_module_info(mod, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
    Module *m = *userdata;
    l->module = m;
    size_t count = inlined(r, mod, l->address, lines);
    m->has_lines = m->has_lines || count > 0;
    if (count == 0) {
        GElf_Off offset;
        GElf_Sym symbol;
        const char *name =
            dwfl_module_addrinfo(mod, l->address, &offset, &symbol, NULL, NULL, NULL);
        if (name) {
            add_line(r, lines, &count, name, place_of(mod, l->address));
        }
    }
    m->has_functions = m->has_functions || count > 0;
    Line *kept = ARENA_ARRAY(r->arena, Line, count + 1);
    memcpy(kept, lines, count * sizeof lines[0]);
    l->lines = kept;
    l->line_count = count;
}

int profile_resolve(Profile *profile, int pid, Err *e)
{
    Resolver r = {.profile = profile, .arena = profile->arena};
    profile_list_locations(profile);
    int rc = report(&r, pid > 0 ? pid : (int)getpid(), e);
    for (size_t i = 0; rc == 0 && i < profile->location_size; i++) {
        if (profile->locations[i]) {
            resolve_one(&r, profile->locations[i]);
        }
    }
    if (r.dwfl) {
        dwfl_end(r.dwfl);
    }
    return rc;
}
