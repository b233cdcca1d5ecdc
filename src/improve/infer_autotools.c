// configure scripts, made by autoconf or by hand.
#include "improve/infer.h"

static const char *bootstrap_script(Inference *in)
{
    static const char *const NAMES[] = {"autogen.sh",   "bootstrap", "bootstrap.sh",    "buildconf",
                                        "buildconf.sh", "autogen",   "build/autogen.sh"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (infer_has(in, NAMES[i])) {
            return NAMES[i];
        }
    }
    return NULL;
}

// A checkout gives all files about the same time, and then automake's rules run tools that are
// not needed to rebuild files that are not old.
static const char TOUCH[] =
    "find . -name aclocal.m4 -exec touch {} + && sleep 1 && find . \\( -name configure -o -name "
    "config.h.in -o -name Makefile.in \\) -exec touch {} +\n";

static void tests_of(Inference *in, Recipe *r, Slice source, bool automake)
{
    infer_test(in, r, "make check", source, "make check -j\"$(nproc)\"");
    if (!automake) {
        infer_test(in, r, "make test", source, "make test");
    } else {
        infer_test(in, r, "make check, one job", source, "make check");
        infer_test(in, r, "make test", source, "make test");
    }
}

static void from_configure_ac(Inference *in, Slice path)
{
    Recipe *r = infer_recipe(in, "autotools", in->directory,
                             70 + (text_has(in->ci_text, "configure") ? 8 : 0));
    Slice source = infer_source(in, path, infer_line(in, path, "AC_INIT"));
    const char *script = bootstrap_script(in);
    bool ready = infer_has(in, "configure");
    // Without optimisation named by the user autoconf takes -g -O2, which is what is wanted.
    const char *rest = "./configure\nmake -j\"$(nproc)\"";
    if (ready) {
        infer_build(in, r, "the configure that is there", source, "%s%s", TOUCH, rest);
    }
    if (script) {
        infer_build(in, r, "bootstrapped", source, "NOCONFIGURE=1 sh ./%s\n%s", script, rest);
    }
    infer_build(in, r, "autoreconf", source, "autoreconf -fi\n%s", rest);
    bool automake = text_has(tree_text(in->tree, path), "AM_INIT_AUTOMAKE");
    tests_of(in, r, source, automake);
    Slice text = tree_text(in->tree, path);
    infer_package(in, SLICE("autoconf"), source, true);
    infer_package(in, SLICE("automake"), source, true);
    if (text_has(text, "LT_INIT") || text_has(text, "LIBTOOL")) {
        infer_package(in, SLICE("libtool"), source, true);
    }
    if (text_has(text, "PKG_")) {
        infer_package(in, SLICE("pkg-config"), source, true);
    }
    if (text_has(text, "AX_")) {
        infer_package(in, SLICE("autoconf-archive"), source, true);
    }
    if (text_has(text, "GETTEXT")) {
        infer_package(in, SLICE("gettext"), source, true);
        infer_package(in, SLICE("autopoint"), source, true);
    }
    if (text_has(text, "AC_PROG_YACC")) {
        infer_package(in, SLICE("bison"), source, true);
    }
    if (text_has(text, "LEX")) {
        infer_package(in, SLICE("flex"), source, true);
    }
}

void infer_autotools(Inference *in)
{
    static const char *const NAMES[] = {"configure.ac", "configure.in"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (infer_has(in, NAMES[i])) {
            from_configure_ac(in, infer_path(in, NAMES[i]));
            return;
        }
    }
    if (infer_has(in, "configure")) {
        Slice path = infer_path(in, "configure"), source = infer_source(in, path, 1);
        Recipe *r = infer_recipe(in, "configure", in->directory,
                                 64 + (text_has(in->ci_text, "./configure") ? 10 : 0));
        infer_build(in, r, "configure", source, "./configure\nmake -j\"$(nproc)\"");
        infer_build(in, r, "configure, one job", source, "./configure\nmake");
        tests_of(in, r, source, false);
    }
}
