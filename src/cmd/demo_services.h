/* demo_services.h: the services that `cygnet demo` puts behind its gateway: small HTTP servers on libcygnet, and one for datagrams, each
 * on a loopback port of its own that the kernel chooses.
 */
#ifndef CYG_CMD_DEMO_SERVICES_H
#define CYG_CMD_DEMO_SERVICES_H

#include <cygnet/http.h>

struct demo_service {
    const char *name; /* the gateway's cluster, and the path "/name" */
    cyg_http_handler *handler;
    cyg_listener *listener;
    cyg_http_server *server;
    char address[CYG_ADDR_STRLEN]; /* "127.0.0.1:40001" */
};

extern struct demo_service demo_services[];
extern const size_t demo_nservices;

/* Answers each datagram with its text in capitals. */
extern char demo_shout_address[CYG_ADDR_STRLEN];

/* Starts them all. Blocks: never. From: goroutine. Returns: 0, or the error of the first that failed. */
int demo_services_start(void);

/* Ends them all, within a second. Blocks: parks. From: goroutine. */
void demo_services_stop(void);

#endif
