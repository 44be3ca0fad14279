/* misuse.h: the end of a program that used an object of ours against its rules: what and where, every goroutine, abort(). */
#ifndef CYG_RUNTIME_MISUSE_H
#define CYG_RUNTIME_MISUSE_H

/* file and line: the call in the program, as its macro noted it. Not under a spin lock: the dump takes a while. */
__attribute__((noreturn, format(printf, 3, 4))) void cygrt_misuse(const char *file, int line, const char *fmt, ...);

#endif
