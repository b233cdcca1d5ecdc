// Shell completion and manual pages out of the option tables.
#ifndef BASE_OPTION_EXPORT_H
#define BASE_OPTION_EXPORT_H

#include "base/option.h"

typedef struct Program {
    const char *name;    // "perfwright"
    const char *version; // "0.1.0"
    const char *date;    // of the manual: "2024-05-01"
    const char *summary; // one line without a full stop
    const Verb *const *verbs;
    size_t verb_count;
} Program;

// Scripts to be sourced by the shell named. They complete verbs (one or two words), options and
// choices; everything else completes as files.
void completion_bash(const Program *program, Buf *out);
void completion_zsh(const Program *program, Buf *out);
void completion_fish(const Program *program, Buf *out);

// mdoc(7): the page of the program, which lists the verbs, and the page of one verb.
void man_program(const Program *program, Buf *out);
void man_verb(const Program *program, const Verb *verb, Buf *out);

#endif
