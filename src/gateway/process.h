/* process.h: what the kernel says about this process, for the metrics that every Prometheus user knows by name. */
#ifndef CYG_GATEWAY_PROCESS_H
#define CYG_GATEWAY_PROCESS_H

#include <cygnet/base.h>

struct cyg_gw_process {
    double cpu_seconds; /* user and system */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
};

/* Blocks: the thread, in proc(5). From: anywhere; in a goroutine through cyg_blocking. What cannot be read is 0. */
void cyg_gw_process_read(struct cyg_gw_process *out);

#endif
