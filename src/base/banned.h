// Functions whose misuse is a bug class of its own become compile errors. Included before every
// file by the build (-include), so nobody has to remember it. System headers that declare these
// names come first, because poisoning a name forbids its later declaration too.
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll atof gmtime localtime ctime asctime system
#pragma GCC poison tmpnam mktemp
// OpenSSL's headers name parameters "rand", so only calling it is an error. (clang takes the
// attribute on a first declaration only; gcc builds everything that clang does.)
#if !defined(__clang__)
extern int rand(void) __attribute__((error("numbers come from base/rng.h")));
extern void srand(unsigned seed) __attribute__((error("numbers come from base/rng.h")));
#endif

#endif
