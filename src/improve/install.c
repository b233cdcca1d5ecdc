#include "improve/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

enum { WORDS_MAX = 200 };

// By commit: a tag can be moved by whoever owns the action.
#define CHECKOUT "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
#define UPLOAD   "actions/upload-artifact@b4b15b8c7c6ac21ea08fcf65892d2ee8f75cf882 # v4.4.3"
#define DOWNLOAD "actions/download-artifact@fa0a91b85d4f404e444e00e005971372dc801d16 # v4.1.8"

static bool made_of(Slice text, const char *more)
{
    bool ok = text.len > 0 && text.len <= WORDS_MAX;
    for (size_t i = 0; ok && i < text.len; i++) {
        char c = text.ptr[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             (c != '\0' && strchr(more, c) != NULL);
    }
    return ok;
}

static bool cron_ok(Slice text)
{
    int fields = 0;
    for (Slice rest = text, field; rest.len > 0;) {
        (void)slice_cut(rest, ' ', &field, &rest);
        if (!made_of(field, "*/,-")) {
            return false;
        }
        fields++;
    }
    return fields == 5;
}

static int check(const InstallOptions *o, Err *e)
{
    if (o->schedule.len > 0 && !cron_ok(o->schedule)) {
        return err_set(e, ERR_ARG,
                       "--schedule must be five fields of cron, such as \"17 3 * * "
                       "1-5\", not \"%.*s\"",
                       SLICE_FMT(o->schedule));
    }
    if (o->engine.len > 0 && !made_of(o->engine, ":./_-")) {
        return err_set(e, ERR_ARG, "engine \"%.*s\": only plain words go into a workflow",
                       SLICE_FMT(o->engine));
    }
    for (size_t i = 0; i < o->setup.len; i++) {
        if ((unsigned char)o->setup.ptr[i] < 0x20) {
            return err_set(e, ERR_ARG, "--setup must be one line of shell");
        }
    }
    if (slice_find(o->setup, SLICE("${{")) >= 0) {
        return err_set(e, ERR_ARG,
                       "--setup must not hold ${{ }}: it is expanded before the shell "
                       "sees it");
    }
    for (size_t i = 0; i < o->secret_count; i++) {
        if (!made_of(o->secrets[i], "_") || i == INSTALL_SECRETS_MAX) {
            return err_set(e, ERR_ARG, "\"%.*s\" is no name of a secret, or there are more than %d",
                           SLICE_FMT(o->secrets[i]), INSTALL_SECRETS_MAX);
        }
    }
    return 0;
}

static void put_setup(const InstallOptions *o, Buf *out)
{
    buf_puts(out, "      - name: Set up perfwright\n        run: |\n          ");
    if (o->setup.len > 0) {
        buf_append(out, o->setup);
    } else {
        buf_puts(out, "command -v perfwright || { echo 'perfwright is not on this runner: give "
                      "`improve install --setup COMMAND`'; exit 1; }");
    }
    buf_putc(out, '\n');
}

static void put_attempt(const InstallOptions *o, Buf *out)
{
    buf_puts(out, "  attempt:\n    runs-on: ubuntu-latest\n    timeout-minutes: 90\n"
                  "    permissions:\n      contents: read\n    steps:\n"
                  "      - uses: " CHECKOUT "\n        with:\n          fetch-depth: 0\n"
                  "          persist-credentials: false\n");
    put_setup(o, out);
    buf_puts(out, "      - name: Attempt\n");
    if (o->secret_count > 0) {
        buf_puts(out, "        env:\n");
    }
    for (size_t i = 0; i < o->secret_count; i++) {
        buf_printf(out, "          %.*s: ${{ secrets.%.*s }}\n", SLICE_FMT(o->secrets[i]),
                   SLICE_FMT(o->secrets[i]));
    }
    buf_puts(out,
             "        # A plan and steps that were merged into the repository were looked at.\n"
             "        run: |\n"
             "          perfwright improve attempt . --yes --ledger perfwright-ledger.db");
    if (o->engine.len > 0) {
        buf_printf(out, " --engine %.*s", SLICE_FMT(o->engine));
    }
    buf_puts(out, " || [ $? -ge 111 ]\n"
                  "      - name: Keep what it made\n        uses: " UPLOAD "\n        with:\n"
                  "          name: perfwright\n          include-hidden-files: true\n"
                  "          path: |\n            .perfwright/attempts\n"
                  "            perfwright-ledger.db\n");
}

static void put_open(const InstallOptions *o, Buf *out)
{
    buf_puts(out,
             "\n  # The only job that may write runs nothing of the repository and no engine.\n"
             "  open:\n    needs: attempt\n    runs-on: ubuntu-latest\n"
             "    timeout-minutes: 10\n    permissions:\n      contents: write\n"
             "      pull-requests: write\n    steps:\n"
             "      - uses: " CHECKOUT "\n        with:\n          fetch-depth: 0\n"
             "          persist-credentials: false\n"
             "      - uses: " DOWNLOAD "\n        with:\n          name: perfwright\n"
             "          path: .\n");
    put_setup(o, out);
    buf_puts(out, "      - name: Open a pull request for what was proven\n        env:\n"
                  "          GH_TOKEN: ${{ github.token }}\n        run: |\n"
                  "          perfwright improve pr --if-proven --ledger perfwright-ledger.db\n");
}

int install_text(const InstallOptions *o, Buf *out, Err *e)
{
    int rc = check(o, e);
    if (rc != 0) {
        return rc;
    }
    buf_puts(out, "# Written by `perfwright improve install`. It is yours to edit.\n"
                  "name: perfwright improve\n\non:\n  workflow_dispatch:\n  schedule:\n"
                  "    - cron: '");
    buf_append(out, o->schedule.len > 0 ? o->schedule : SLICE("17 3 * * 1-5"));
    buf_puts(out, "'\n\npermissions: {}\n\nconcurrency:\n  group: perfwright-improve\n"
                  "  cancel-in-progress: false\n\njobs:\n");
    put_attempt(o, out);
    if (o->pull_requests) {
        put_open(o, out);
    }
    return buf_check(out, "the workflow", e);
}

int install_write(const Place *place, Slice text, Err *e)
{
    static const char *const PARTS[] = {".github", ".github/workflows", INSTALL_FILE};
    char path[PATH_MAX];
    for (size_t i = 0; i < COUNT_OF(PARTS); i++) {
        struct stat st;
        int len = snprintf(path, sizeof path, "%.*s/%s", SLICE_FMT(place->repo), PARTS[i]);
        if (len < 0 || (size_t)len >= sizeof path) {
            return err_set(e, ERR_LIMIT, "the repository's path is too long");
        }
        bool last = i + 1 == COUNT_OF(PARTS);
        if (lstat(path, &st) != 0) {
            if (!last && mkdir(path, 0755) != 0) {
                return err_errno(e, ERR_IO, errno, "%s", path);
            }
        } else if (last) {
            return err_set(e, ERR_EXISTS,
                           "%s is there already and is not overwritten: edit it, or "
                           "remove it first",
                           path);
        } else if (!S_ISDIR(st.st_mode)) {
            return err_set(e, ERR_REFUSED, "%s is no directory", path);
        }
    }
    return file_write(path, text, NULL, e);
}
