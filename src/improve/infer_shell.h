// Reading the shell scripts of CI files and containers well enough to know what they are for.
#ifndef IMPROVE_INFER_SHELL_H
#define IMPROVE_INFER_SHELL_H

#include "improve/infer.h"

// In rising order of what decides a script that does several things.
typedef enum ShellKind {
    SHELL_NOTHING, // echo, uploads, linters, publishing: of no use here
    SHELL_PLACE,   // cd, export, mkdir: belongs to what follows
    SHELL_SYSTEM,  // apt-get: read, not run
    SHELL_INSTALL,
    SHELL_BUILD,
    SHELL_TEST,
    SHELL_BENCHMARK,
} ShellKind;

// Of one logical line (`a && b` is the highest of both).
ShellKind shell_kind(Slice line);
// The next logical line: lines that end with a backslash are one. False at the end.
bool shell_line(Arena *arena, Slice *rest, Slice *ret_line);
// `if`, loops, functions, here-documents: a script to be taken as a whole or not at all.
bool shell_is_structured(Slice script);
// What only bash understands.
bool shell_needs_bash(Slice script);
// Notes the packages of every apt-get install in the script.
void shell_packages(Inference *in, Slice script, Slice source);

// What a job's scripts come to: commands by kind, each with the directory changes and variables
// that stood before it.
typedef struct ShellJob {
    Inference *in;
    Buf install, build, test;
    Slice source; // of the first command
    bool odd;     // something in it was not understood: tried late
    bool python;  // pip or pytest: wants the virtual environment
} ShellJob;
void shell_job_init(ShellJob *job, Inference *in);
// `directory` and `environment` ("export A=1\n") may be empty.
void shell_job_add(ShellJob *job, Slice script, Slice directory, Slice environment, Slice source);
// Makes a recipe of it when it builds or tests something.
void shell_job_done(ShellJob *job, const char *name, int score);

#endif
