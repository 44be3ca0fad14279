/* resolver.h in use: names that need no server, from a hosts file of our own. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/resolver.h>
#include <cygnet/runtime.h>
#include <stdio.h>
#include <unistd.h>

static int look(const char *hosts) {
    cyg_auto_resolver cyg_resolver *r = NULL;
    cyg_resolver_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.hosts = hosts;
    opts.search = "";
    int err = cyg_resolver_new(&opts, &r);
    if (err < 0) return cyg_fail("resolver", err);

    cyg_addr a[4];
    char text[CYG_ADDR_STRLEN];
    cyg_lookup_opts only4;
    memset(&only4, 0, sizeof only4);
    only4.family = CYG_AF_IPV4;
    only4.port = 80;
    only4.timeout = CYG_SECOND;
    int n = cyg_lookup(r, "printer", &only4, a, 4);
    if (n < 0) return cyg_fail("lookup", n);
    cyg_addr_format(&a[0], text, sizeof text);
    if (n != 1 || strcmp(text, "192.0.2.7:80") != 0) return 1;
    if (cyg_lookup(r, "name with spaces", NULL, a, 4) != CYG_EPARSE) return 2;

    cyg_resolver_stats st;
    cyg_resolver_get_stats(r, &st);
    return st.hosts_total == 1 && st.queries_total == 0 ? 0 : 3;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    char path[64];
    snprintf(path, sizeof path, "/tmp/cygnet-hosts-%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    if (!f) return 4;
    bool ok = fputs("192.0.2.7 printer printer.example # upstairs\n", f) >= 0;
    int err = fclose(f) == 0 && ok ? look(path) : 5;
    unlink(path);
    return err;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
