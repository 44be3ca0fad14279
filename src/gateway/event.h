/* event.h: the gateway's operational log: what happened to the gateway itself, one plain line an event on standard error.
 * Requests are not events; they have the access log.
 *
 *     2026-11-23T09:30:00.125Z info listening name=web address=127.0.0.1:8080
 */
#ifndef CYG_GATEWAY_EVENT_H
#define CYG_GATEWAY_EVENT_H

#include <cygnet/base.h>

/* Writes one line: time, level ("info", "warning", "error"), the event's name, and what fmt makes ("" for nothing), with
 * control bytes replaced by '?'; cut at 4,000 bytes. Blocks: the thread, in one write(2). From: goroutine or any thread. */
void cyg_gw_event(const char *level, const char *event, const char *fmt, ...) CYG_PRINTF(3, 4);

#endif
