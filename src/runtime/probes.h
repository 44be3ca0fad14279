/* probes.h: static trace points (USDT) for perf, bpftrace and SystemTap: a no-op instruction each until somebody attaches. They are
 * there when the library was built with <sys/sdt.h>. Provider cygnet; docs/internals/runtime.md lists them. */
#ifndef CYG_RUNTIME_PROBES_H
#define CYG_RUNTIME_PROBES_H

#if defined(CYG_USDT)
#include <sys/sdt.h>
#define CYGRT_PROBE1(name, a) DTRACE_PROBE1(cygnet, name, a)
#define CYGRT_PROBE2(name, a, b) DTRACE_PROBE2(cygnet, name, a, b)
#define CYGRT_PROBE3(name, a, b, c) DTRACE_PROBE3(cygnet, name, a, b, c)
#else
#define CYGRT_PROBE1(name, a) ((void)0)
#define CYGRT_PROBE2(name, a, b) ((void)0)
#define CYGRT_PROBE3(name, a, b, c) ((void)0)
#endif

#endif
