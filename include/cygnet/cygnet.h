/* cygnet.h: all of libcygnet. Each package can also be included alone. */
#ifndef CYGNET_CYGNET_H
#define CYGNET_CYGNET_H

#include <cygnet/base.h>
#include <cygnet/chan.h>
#include <cygnet/context.h>
#include <cygnet/err.h>
#include <cygnet/http.h>
#include <cygnet/http_field.h>
#include <cygnet/io.h>
#include <cygnet/log.h>
#include <cygnet/metrics.h>
#include <cygnet/net.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>
#include <cygnet/time.h>

#endif
