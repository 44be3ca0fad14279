/* resolver_nodns.c: a library built without c-ares (-Dcares=disabled): names are getaddrinfo's affair, as with .system. */
#include "net/internal.h"
#include "net/resolver_internal.h"

bool res_dns_exists(void) { return false; }

int res_dns_open(struct cyg_resolver *r, struct res_files *f, void **channel) {
    (void)r, (void)f, (void)channel;
    return CYG_ENOTSUP;
}
void res_dns_close(void *channel) { (void)channel; }
void res_dns_start(struct cyg_resolver *r, struct res_entry *e) { (void)r, (void)e; }
void res_dns_swap(struct cyg_resolver *r, void *channel) { (void)r, (void)channel; }
void res_dns_shut(struct cyg_resolver *r) { (void)r; }
