/* chan_watch.h: channels that have a name are looked at once a second, to find those whose backlog only grows. */
#ifndef CYG_SYNC_CHAN_WATCH_H
#define CYG_SYNC_CHAN_WATCH_H

#include <cygnet/chan.h>

struct chan_watch;

/* From when a channel has its first name until it has none or dies. */
void chan_watch_begin(cyg_chan *ch);
void chan_watch_end(cyg_chan *ch);

/* Looks at all of them, as if it were now. By sysmon, and by tests. */
void chan_watch_look(cyg_time now);

#endif
