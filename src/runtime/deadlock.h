/* deadlock.h: "all goroutines are asleep". */
#ifndef CYG_RUNTIME_DEADLOCK_H
#define CYG_RUNTIME_DEADLOCK_H

#include <stdbool.h>

/* From when the main goroutine of cyg_main starts until it returns: only then is the main thread known to wait. */
void cygrt_deadlock_watch(bool on);
bool cygrt_deadlock_watched(void);
/* By sysmon, when it has found every P asleep: ends the process with status 2 if nothing in it can wake anybody. */
void cygrt_deadlock_check(void);

#endif
