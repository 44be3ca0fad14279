/* truth.h: what the probe compares with, compiled apart from it. */
#ifndef TRUTH_H
#define TRUTH_H

int *truth_errno(void);  /* errno's address for the thread that calls */
long truth_thread(void); /* its number */

#endif
