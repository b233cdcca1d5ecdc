// An install step downloads dependencies by way of whatever this machine has: a proxy, a mirror, a
// certificate authority of its own. Those settings are in variables and in files, which can also
// hold passwords and tokens. A value or file in which anything looks like one is left out, whole:
// better a download that fails with a clear message than a token that a build script can read.
#include <unistd.h>

#include "os/file.h"
#include "os/sandbox_internal.h"

enum { CONFIG_BYTES_MAX = 64 << 10 };

static const char *const VARIABLES[] = {"http_proxy",
                                        "https_proxy",
                                        "no_proxy",
                                        "all_proxy",
                                        "HTTP_PROXY",
                                        "HTTPS_PROXY",
                                        "NO_PROXY",
                                        "ALL_PROXY",
                                        "SSL_CERT_FILE",
                                        "SSL_CERT_DIR",
                                        "CURL_CA_BUNDLE",
                                        "REQUESTS_CA_BUNDLE",
                                        "NODE_EXTRA_CA_CERTS",
                                        "PIP_CERT",
                                        "GIT_SSL_CAINFO",
                                        "GOPROXY",
                                        "GONOSUMDB",
                                        "GOSUMDB",
                                        "GOPRIVATE",
                                        "PIP_INDEX_URL",
                                        "PIP_DEFAULT_TIMEOUT",
                                        "npm_config_registry",
                                        "NPM_CONFIG_REGISTRY",
                                        NULL};

typedef struct ConfigFile {
    const char *host; // below the home directory unless it begins with a slash
    const char *inside;
} ConfigFile;

static const ConfigFile FILES[] = {
    {"/etc/pip.conf", "/etc/pip.conf"},
    {"/etc/npmrc", "/etc/npmrc"},
    {"/etc/gitconfig", "/etc/gitconfig"},
    {"/etc/wgetrc", "/etc/wgetrc"},
    {".config/pip/pip.conf", SANDBOX_HOME "/.config/pip/pip.conf"},
    {".pip/pip.conf", SANDBOX_HOME "/.pip/pip.conf"},
    {".npmrc", SANDBOX_HOME "/.npmrc"},
    {".cargo/config.toml", SANDBOX_HOME "/.cargo/config.toml"},
    {".m2/settings.xml", SANDBOX_HOME "/.m2/settings.xml"},
    {".config/go/env", SANDBOX_HOME "/.config/go/env"},
};

static bool holds_word(Slice text, Slice word)
{
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if (slice_eq_nocase(slice_sub(text, i, word.len), word)) {
            return true;
        }
    }
    return false;
}

// scheme://user:password@host, or user@host: what is before the '@' is nobody's business.
static bool holds_userinfo(Slice text)
{
    for (;;) {
        ptrdiff_t at = slice_find(text, SLICE("://"));
        if (at < 0) {
            return false;
        }
        text = slice_sub(text, (size_t)at + 3, text.len);
        for (size_t i = 0; i < text.len && !strchr("/?# \t\r\n\"'", text.ptr[i]); i++) {
            if (text.ptr[i] == '@') {
                return true;
            }
        }
    }
}

static bool looks_secret(Slice text)
{
    static const Slice WORDS[] = {
        SLICE_INIT("auth"), SLICE_INIT("token"),  SLICE_INIT("passw"),     SLICE_INIT("secret"),
        SLICE_INIT("_key"), SLICE_INIT("apikey"), SLICE_INIT("credential")};
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (holds_word(text, WORDS[i])) {
            return true;
        }
    }
    return holds_userinfo(text);
}

static void add_variables(Arena *arena, SandboxTools *tools)
{
    size_t n = 0;
    while (tools->env[n]) {
        n++;
    }
    const char **env = ARENA_ARRAY(arena, const char *, n + COUNT_OF(VARIABLES) + 1);
    memcpy(env, tools->env, n * sizeof *env);
    for (size_t i = 0; VARIABLES[i]; i++) {
        const char *value = getenv(VARIABLES[i]);
        if (value && value[0] != 0 && !holds_userinfo(slice_from_cstr(value))) {
            env[n++] = arena_printf(arena, "%s=%s", VARIABLES[i], value).ptr;
        }
    }
    tools->env = env;
}

static void add_file(Arena *arena, const char *home, const ConfigFile *file, SandboxTools *tools)
{
    if (file->host[0] != '/' && !home) {
        return;
    }
    const char *host =
        file->host[0] == '/' ? file->host : arena_printf(arena, "%s/%s", home, file->host).ptr;
    Buf text = buf_create(CONFIG_BYTES_MAX);
    // sandbox_tools fills at most half of the array.
    if (tools->mount_count < SANDBOX_MOUNTS_MAX && file_read(host, &text, NULL) == 0 &&
        !looks_secret(buf_slice(&text))) {
        tools->mounts[tools->mount_count++] = (SandboxMount){.host = host, .inside = file->inside};
    }
    buf_done(&text);
}

void sandbox_network(Arena *arena, const char *home, SandboxTools *tools)
{
    static const ConfigFile RESOLVER[] = {{"/etc/resolv.conf", "/etc/resolv.conf"},
                                          {"/etc/hosts", "/etc/hosts"}};
    add_variables(arena, tools);
    for (size_t i = 0; i < COUNT_OF(FILES); i++) {
        add_file(arena, home, &FILES[i], tools);
    }
    for (size_t i = 0; i < COUNT_OF(RESOLVER); i++) {
        if (access(RESOLVER[i].host, R_OK) == 0) {
            tools->mounts[tools->mount_count++] =
                (SandboxMount){.host = RESOLVER[i].host, .inside = RESOLVER[i].inside};
        }
    }
}
