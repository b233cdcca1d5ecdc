// Names of libraries, as build files say them, to Debian's packages. The table holds what is asked
// for most; for other names configure looks among the packages that exist (apt-cache).
#include "improve/infer.h"
#include "improve/packages.h"

typedef struct Library {
    const char *name; // of find_package, pkg-config, or a header: lower case
    const char *package;
} Library;
static const Library LIBRARIES[] = {
    {"zlib", "zlib1g-dev"},
    {"zlib.h", "zlib1g-dev"},
    {"z", "zlib1g-dev"},
    {"bzip2", "libbz2-dev"},
    {"bzlib.h", "libbz2-dev"},
    {"lzma", "liblzma-dev"},
    {"liblzma", "liblzma-dev"},
    {"lzma.h", "liblzma-dev"},
    {"zstd", "libzstd-dev"},
    {"libzstd", "libzstd-dev"},
    {"zstd.h", "libzstd-dev"},
    {"lz4", "liblz4-dev"},
    {"liblz4", "liblz4-dev"},
    {"lz4.h", "liblz4-dev"},
    {"snappy", "libsnappy-dev"},
    {"brotli", "libbrotli-dev"},
    {"libbrotlidec", "libbrotli-dev"},
    {"openssl", "libssl-dev"},
    {"libssl", "libssl-dev"},
    {"libcrypto", "libssl-dev"},
    {"openssl/ssl.h", "libssl-dev"},
    {"openssl/evp.h", "libssl-dev"},
    {"curl", "libcurl4-openssl-dev"},
    {"libcurl", "libcurl4-openssl-dev"},
    {"curl/curl.h", "libcurl4-openssl-dev"},
    {"gtest", "libgtest-dev"},
    {"googletest", "libgtest-dev"},
    {"gtest/gtest.h", "libgtest-dev"},
    {"gmock", "libgmock-dev"},
    {"gmock/gmock.h", "libgmock-dev"},
    {"benchmark", "libbenchmark-dev"},
    {"googlebenchmark", "libbenchmark-dev"},
    {"benchmark/benchmark.h", "libbenchmark-dev"},
    {"catch2", "catch2"},
    {"catch2/catch.hpp", "catch2"},
    {"doctest", "doctest-dev"},
    {"doctest/doctest.h", "doctest-dev"},
    {"fmt", "libfmt-dev"},
    {"spdlog", "libspdlog-dev"},
    {"boost", "libboost-all-dev"},
    {"check", "check"},
    {"check.h", "check"},
    {"cmocka", "libcmocka-dev"},
    {"cmocka.h", "libcmocka-dev"},
    {"cunit", "libcunit1-dev"},
    {"cunit/cunit.h", "libcunit1-dev"},
    {"cppunit", "libcppunit-dev"},
    {"cpputest", "cpputest"},
    {"criterion", "libcriterion-dev"},
    {"criterion/criterion.h", "libcriterion-dev"},
    {"glib-2.0", "libglib2.0-dev"},
    {"glib.h", "libglib2.0-dev"},
    {"gio-2.0", "libglib2.0-dev"},
    {"libxml-2.0", "libxml2-dev"},
    {"libxml2", "libxml2-dev"},
    {"libxslt", "libxslt1-dev"},
    {"expat", "libexpat1-dev"},
    {"expat.h", "libexpat1-dev"},
    {"png", "libpng-dev"},
    {"libpng", "libpng-dev"},
    {"libpng16", "libpng-dev"},
    {"png.h", "libpng-dev"},
    {"jpeg", "libjpeg-dev"},
    {"libjpeg", "libjpeg-dev"},
    {"jpeglib.h", "libjpeg-dev"},
    {"tiff", "libtiff-dev"},
    {"libtiff-4", "libtiff-dev"},
    {"freetype", "libfreetype-dev"},
    {"freetype2", "libfreetype-dev"},
    {"fontconfig", "libfontconfig-dev"},
    {"cairo", "libcairo2-dev"},
    {"pixman-1", "libpixman-1-dev"},
    {"sqlite3", "libsqlite3-dev"},
    {"sqlite3.h", "libsqlite3-dev"},
    {"libuv", "libuv1-dev"},
    {"uv.h", "libuv1-dev"},
    {"libevent", "libevent-dev"},
    {"event2/event.h", "libevent-dev"},
    {"libev", "libev-dev"},
    {"ev.h", "libev-dev"},
    {"readline", "libreadline-dev"},
    {"readline/readline.h", "libreadline-dev"},
    {"ncurses", "libncurses-dev"},
    {"ncursesw", "libncurses-dev"},
    {"curses", "libncurses-dev"},
    {"curses.h", "libncurses-dev"},
    {"ncurses.h", "libncurses-dev"},
    {"libedit", "libedit-dev"},
    {"jansson", "libjansson-dev"},
    {"jansson.h", "libjansson-dev"},
    {"json-c", "libjson-c-dev"},
    {"nlohmann_json", "nlohmann-json3-dev"},
    {"nlohmann/json.hpp", "nlohmann-json3-dev"},
    {"rapidjson", "rapidjson-dev"},
    {"yaml", "libyaml-dev"},
    {"yaml-0.1", "libyaml-dev"},
    {"yaml.h", "libyaml-dev"},
    {"yaml-cpp", "libyaml-cpp-dev"},
    {"protobuf", "libprotobuf-dev"},
    {"libprotobuf-c", "libprotobuf-c-dev"},
    {"absl", "libabsl-dev"},
    {"gflags", "libgflags-dev"},
    {"glog", "libgoogle-glog-dev"},
    {"eigen3", "libeigen3-dev"},
    {"tbb", "libtbb-dev"},
    {"openmp", "libomp-dev"},
    {"pcre", "libpcre3-dev"},
    {"libpcre", "libpcre3-dev"},
    {"pcre2", "libpcre2-dev"},
    {"libpcre2-8", "libpcre2-dev"},
    {"pcre2.h", "libpcre2-dev"},
    {"pcre.h", "libpcre3-dev"},
    {"gmp", "libgmp-dev"},
    {"gmp.h", "libgmp-dev"},
    {"mpfr", "libmpfr-dev"},
    {"gsl", "libgsl-dev"},
    {"fftw3", "libfftw3-dev"},
    {"fftw3.h", "libfftw3-dev"},
    {"blas", "libopenblas-dev"},
    {"lapack", "liblapack-dev"},
    {"libffi", "libffi-dev"},
    {"ffi.h", "libffi-dev"},
    {"uuid", "uuid-dev"},
    {"uuid/uuid.h", "uuid-dev"},
    {"libuuid", "uuid-dev"},
    {"libbsd", "libbsd-dev"},
    {"bsd/string.h", "libbsd-dev"},
    {"libelf", "libelf-dev"},
    {"libelf.h", "libelf-dev"},
    {"libunwind", "libunwind-dev"},
    {"libpcap", "libpcap-dev"},
    {"pcap.h", "libpcap-dev"},
    {"lua", "liblua5.4-dev"},
    {"lua5.3", "liblua5.3-dev"},
    {"lua.h", "liblua5.4-dev"},
    {"luajit", "libluajit-5.1-dev"},
    {"sdl2", "libsdl2-dev"},
    {"x11", "libx11-dev"},
    {"glut", "freeglut3-dev"},
    {"opengl", "libgl-dev"},
    {"glfw3", "libglfw3-dev"},
    {"glew", "libglew-dev"},
    {"libsodium", "libsodium-dev"},
    {"sodium.h", "libsodium-dev"},
    {"libgcrypt", "libgcrypt20-dev"},
    {"gnutls", "libgnutls28-dev"},
    {"mbedtls", "libmbedtls-dev"},
    {"icu-uc", "libicu-dev"},
    {"icu", "libicu-dev"},
    {"libarchive", "libarchive-dev"},
    {"libmagic", "libmagic-dev"},
    {"magic.h", "libmagic-dev"},
    {"libusb-1.0", "libusb-1.0-0-dev"},
    {"dbus-1", "libdbus-1-dev"},
    {"libsystemd", "libsystemd-dev"},
    {"libudev", "libudev-dev"},
    {"libcap", "libcap-dev"},
    {"sys/capability.h", "libcap-dev"},
    {"libseccomp", "libseccomp-dev"},
    {"libnl-3.0", "libnl-3-dev"},
    {"libgit2", "libgit2-dev"},
    {"libssh2", "libssh2-1-dev"},
    {"libmicrohttpd", "libmicrohttpd-dev"},
    {"hiredis", "libhiredis-dev"},
    {"libpq", "libpq-dev"},
    {"postgresql", "libpq-dev"},
    {"mysql.h", "default-libmysqlclient-dev"},
    {"libnghttp2", "libnghttp2-dev"},
    {"libcares", "libc-ares-dev"},
    {"c-ares", "libc-ares-dev"},
    {"libidn2", "libidn2-dev"},
    {"libpsl", "libpsl-dev"},
    {"sndfile", "libsndfile1-dev"},
    {"alsa", "libasound2-dev"},
    {"vorbis", "libvorbis-dev"},
    {"ogg", "libogg-dev"},
    {"flac", "libflac-dev"},
    {"opus", "libopus-dev"},
    {"doxygen", "doxygen"},
    {"python.h", "python3-dev"},
    {"python3", "python3-dev"},
    {"swig", "swig"},
    {"range-v3", "librange-v3-dev"},
    {"cxxopts", "libcxxopts-dev"},
    {"cli11", "libcli11-dev"},
    {"tinyxml2", "libtinyxml2-dev"},
    {"pugixml", "libpugixml-dev"},
    {"re2", "libre2-dev"},
    {"highway", "libhwy-dev"},
    {"leveldb", "libleveldb-dev"},
    {"rocksdb", "librocksdb-dev"},
    {"lmdb", "liblmdb-dev"},
    {"db.h", "libdb-dev"},
    {"gdbm", "libgdbm-dev"},
    {"jemalloc", "libjemalloc-dev"},
    {"libnuma", "libnuma-dev"},
    {"numa.h", "libnuma-dev"},
    {"liburing", "liburing-dev"},
    {"xxhash", "libxxhash-dev"},
    {"libxxhash", "libxxhash-dev"},
    {"unity", ""},
    {"threads", ""},
    {"pkgconfig", "pkg-config"},
    {"perl", "perl"},
    {"bison", "bison"},
    {"flex", "flex"},
    {"gettext", "gettext"},
    {"ut hash.h", ""},
    {"uthash.h", "uthash-dev"},
    {"popt.h", "libpopt-dev"},
    {"popt", "libpopt-dev"},
    {"argp.h", ""},
    {"libtool", "libtool"},
    {"valgrind", "valgrind"},
    {"valgrind/valgrind.h", "valgrind"},
    {"cpuid.h", ""},
    {"librt", ""},
    {"subunit", ""},
};

// Programs by their package, where the names differ or the program is often missing.
static const Library TOOLS[] = {
    {"autoreconf", "autoconf"},
    {"autoconf", "autoconf"},
    {"aclocal", "automake"},
    {"automake", "automake"},
    {"libtoolize", "libtool"},
    {"glibtoolize", "libtool"},
    {"autopoint", "autopoint"},
    {"gettextize", "gettext"},
    {"msgfmt", "gettext"},
    {"xgettext", "gettext"},
    {"bison", "bison"},
    {"yacc", "bison"},
    {"flex", "flex"},
    {"lex", "flex"},
    {"nasm", "nasm"},
    {"yasm", "yasm"},
    {"ninja", "ninja-build"},
    {"meson", "meson"},
    {"cmake", "cmake"},
    {"ctest", "cmake"},
    {"pkg-config", "pkg-config"},
    {"makeinfo", "texinfo"},
    {"help2man", "help2man"},
    {"gperf", "gperf"},
    {"ragel", "ragel"},
    {"re2c", "re2c"},
    {"xsltproc", "xsltproc"},
    {"asciidoc", "asciidoc"},
    {"asciidoctor", "asciidoctor"},
    {"pandoc", "pandoc"},
    {"doxygen", "doxygen"},
    {"m4", "m4"},
    {"perl", "perl"},
    {"tclsh", "tcl"},
    {"tclsh8.6", "tcl"},
    {"lua", "lua5.4"},
    {"ruby", "ruby"},
    {"bc", "bc"},
    {"dc", "dc"},
    {"xxd", "xxd"},
    {"hexdump", "bsdextrautils"},
    {"unzip", "unzip"},
    {"zip", "zip"},
    {"wget", "wget"},
    {"curl", "curl"},
    {"rsync", "rsync"},
    {"jq", "jq"},
    {"gawk", "gawk"},
    {"time", "time"},
    {"file", "file"},
    {"valgrind", "valgrind"},
    {"clang", "clang"},
    {"clang++", "clang"},
    {"g++", "g++"},
    {"gcc", "gcc"},
    {"make", "make"},
    {"gmake", "make"},
    {"mvn", "maven"},
    {"gradle", "gradle"},
    {"scons", "scons"},
    {"cython", "cython3"},
    {"swig", "swig"},
    {"protoc", "protobuf-compiler"},
    {"ps", "procps"},
    {"xz", "xz-utils"},
    {"lzip", "lzip"},
    {"cargo", "cargo"},
    {"go", "golang-go"},
    {"npm", "npm"},
    {"node", "nodejs"},
    {"javac", "default-jdk-headless"},
    {"socat", "socat"},
    {"expect", "expect"},
    {"bats", "bats"},
    {"strace", "strace"},
    {"gdb", "gdb"},
    {"git", "git"},
    {"rst2man", "python3-docutils"},
    {"ronn", "ronn"},
    {"xmlto", "xmlto"},
    {"which", "debianutils"},
    {"ccache", "ccache"},
    {"dot", "graphviz"},
    {"autogen", "autogen"},
    {"prove", "perl"},
};

static const char *look_up(const Library *table, size_t count, Slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(name, slice_from_cstr(table[i].name))) {
            return table[i].package;
        }
    }
    return NULL;
}

const char *package_of_library(Slice name)
{
    return look_up(LIBRARIES, COUNT_OF(LIBRARIES), name);
}

const char *package_of_tool(Slice name)
{
    return look_up(TOOLS, COUNT_OF(TOOLS), name);
}

// ---- what build files name

// Without these a build goes well and has no tests.
static bool is_test_framework(Slice package)
{
    static const char *const NAMES[] = {"libgtest-dev",  "libgmock-dev",    "libbenchmark-dev",
                                        "catch2",        "doctest-dev",     "check",
                                        "libcmocka-dev", "libcunit1-dev",   "libcppunit-dev",
                                        "cpputest",      "libcriterion-dev"};
    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq_cstr(package, NAMES[i])) {
            return true;
        }
    }
    return false;
}

static void wish(Inference *in, Slice name, Slice source, bool needed)
{
    const char *package = package_of_library(name);
    if (package != NULL && package[0] != '\0') {
        infer_package(in, slice_from_cstr(package), source,
                      needed || is_test_framework(slice_from_cstr(package)));
    }
}

static Slice first_word(Slice s)
{
    size_t n = 0;
    s = slice_trim(s);
    while (s.len > 0 && (s.ptr[0] == '\'' || s.ptr[0] == '"' || s.ptr[0] == '[')) {
        s = slice_trim(slice_sub(s, 1, s.len));
    }
    while (n < s.len && strchr(" \t,)'\"]>=<", s.ptr[n]) == NULL) {
        n++;
    }
    return slice_sub(s, 0, n);
}

// `call(` at the start of a line or behind a blank; what stands behind it.
static bool call(Slice line, const char *name, Slice *ret_rest)
{
    Slice n = slice_from_cstr(name);
    for (size_t i = 0; i + n.len < line.len; i++) {
        if (slice_eq_nocase(slice_sub(line, i, n.len), n)) {
            Slice rest = slice_trim(slice_sub(line, i + n.len, line.len));
            if (rest.len > 0 && rest.ptr[0] == '(') {
                *ret_rest = slice_sub(rest, 1, rest.len);
                return true;
            }
        }
    }
    return false;
}

static void words(Inference *in, Slice rest, Slice source, bool needed)
{
    Slice word;
    while (rest.len > 0) {
        (void)slice_cut(rest, ' ', &word, &rest);
        wish(in, first_word(word), source, needed);
    }
}

static void read_line(Inference *in, Slice path, Slice line, long number)
{
    Slice rest, source = infer_source(in, path, number);
    if (call(line, "find_package", &rest) || call(line, "find_dependency", &rest)) {
        wish(in, first_word(rest), source, text_has(line, "REQUIRED"));
    } else if (call(line, "pkg_check_modules", &rest) || call(line, "pkg_search_module", &rest) ||
               call(line, "PKG_CHECK_MODULES", &rest) || call(line, "PKG_CHECK_EXISTS", &rest)) {
        for (size_t i = 0; i < rest.len; i++) { // the separators differ between the two
            if (strchr(",[]()", rest.ptr[i]) != NULL) {
                words(in, slice_sub(rest, i + 1, rest.len), source, false);
            }
        }
        words(in, rest, source, false);
    } else if (call(line, "dependency", &rest) || call(line, "find_library", &rest) ||
               call(line, "AC_CHECK_LIB", &rest) || call(line, "AC_CHECK_HEADERS", &rest) ||
               call(line, "AC_CHECK_HEADER", &rest) || call(line, "AC_SEARCH_LIBS", &rest) ||
               call(line, "FetchContent_Declare", &rest)) {
        wish(in, first_word(rest), source, false);
    }
}

static bool is_build_file(Slice path)
{
    Slice name = path_name(path);
    return slice_eq_cstr(name, "CMakeLists.txt") || text_ends(name, ".cmake") ||
           slice_eq_cstr(name, "meson.build") || slice_eq_cstr(name, "configure.ac") ||
           slice_eq_cstr(name, "configure.in") || text_ends(name, ".m4");
}

void infer_packages(Inference *in)
{
    for (size_t i = 0; i < in->tree->count; i++) {
        Slice path = in->tree->files[i].path;
        if (!infer_is_below(in, path) || !is_build_file(path) || path_depth(path) > 3) {
            continue;
        }
        Slice rest = tree_text(in->tree, path), line;
        long number = 0;
        while (text_line(&rest, &line, &number)) {
            read_line(in, path, line, number);
        }
    }
}
