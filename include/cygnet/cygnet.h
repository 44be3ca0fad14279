/* cygnet.h: all of libcygnet. Each package can also be included alone. */
#ifndef CYGNET_CYGNET_H
#define CYGNET_CYGNET_H

#include <cygnet/base.h>
#include <cygnet/bufio.h>
#include <cygnet/chan.h>
#include <cygnet/connpool.h>
#include <cygnet/context.h>
#include <cygnet/copy.h>
#include <cygnet/debug.h>
#include <cygnet/err.h>
#include <cygnet/file.h>
#include <cygnet/group.h>
#include <cygnet/http.h>
#include <cygnet/http_field.h>
#include <cygnet/io.h>
#include <cygnet/io_metrics.h>
#include <cygnet/local.h>
#include <cygnet/log.h>
#include <cygnet/map.h>
#include <cygnet/metrics.h>
#include <cygnet/net.h>
#include <cygnet/netstat.h>
#include <cygnet/objpool.h>
#include <cygnet/packet.h>
#include <cygnet/resolver.h>
#include <cygnet/runtime.h>
#include <cygnet/snapshot.h>
#include <cygnet/streams.h>
#include <cygnet/sync.h>
#include <cygnet/time.h>

#endif
