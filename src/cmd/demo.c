/* demo.c: `cygnet demo` starts the gateway in front of a few services of its own, so that everything can be tried within a
 * minute and nothing has to be installed or configured.
 */
#include "cmd/cmd.h"

#include "cmd/demo_services.h"
#include "gateway/gateway.h"
#include "gateway/text.h"

#include <cygnet/runtime.h>
#include <getopt.h>
#include <stdio.h>

static const char usage[] = "usage: cygnet demo [--listen ADDRESS] [--admin ADDRESS]\n"
                            "Starts a gateway with services behind it. Ctrl-C ends it.\n"
                            "  --listen ADDRESS  where the gateway listens (127.0.0.1:8080)\n"
                            "  --admin ADDRESS   where its admin pages are (127.0.0.1:9901)\n"
                            "Port 0 lets the kernel choose.\n";

/* Tells in one sentence why an address cannot be used, and what to do. */
static int try_address(const char *address, const char *option) {
    cyg_addr a;
    cyg_listener *l;
    if (cyg_addr_parse("tcp", address, &a) < 0) {
        fprintf(stderr, "cygnet demo: \"%s\" is no address; write %s 127.0.0.1:PORT\n", address, option);
        return 2;
    }
    int err = cyg_listen("tcp", address, NULL, &l);
    if (err == -EADDRINUSE) {
        fprintf(stderr, "cygnet demo: %s is in use by another program; choose another address with %s 127.0.0.1:PORT\n",
                address, option);
        return 1;
    }
    if (err < 0) {
        fprintf(stderr, "cygnet demo: cannot listen on %s (%s); choose another address with %s 127.0.0.1:PORT\n",
                address, cyg_strerror(err), option);
        return 1;
    }
    (void)cyg_listener_close(l);
    return 0;
}

static bool same_address(const char *one, const char *other) {
    cyg_addr a, b;
    return cyg_addr_parse("tcp", one, &a) == 0 && cyg_addr_parse("tcp", other, &b) == 0 && cyg_addr_eq(&a, &b) && a.port;
}

/* A route and a cluster for each service; services of one name are one cluster. Beside HTTP, the first of them as bare TCP, and one for
 * datagrams. */
static void write_config(struct cyg_gw_text *t, const char *listen, const char *admin) {
    cyg_gw_text_puts(t, "version: demo\nlisteners:\n  - name: web\n    address: ");
    cyg_gw_text_json(t, cyg_str_of(listen));
    cyg_gw_text_puts(t, "\n    routes:\n");
    for (size_t i = 0; i < demo_nservices; i++) {
        const char *name = demo_services[i].name;
        if (i > 0 && strcmp(name, demo_services[i - 1].name) == 0) continue;
        cyg_gw_text_printf(t, "      - { name: %s, match: { path: /%s }, cluster: %s, timeout: 5s }\n", name, name, name);
    }
    cyg_gw_text_puts(t, "      - { name: gone, match: { path: /gone }, cluster: gone }\n"
                        "  - { name: tcp, address: \"127.0.0.1:0\", protocol: tcp, cluster: hello }\n"
                        "  - { name: udp, address: \"127.0.0.1:0\", protocol: udp, cluster: shout }\nclusters:\n");
    for (size_t i = 0; i < demo_nservices; i++) {
        const char *name = demo_services[i].name;
        bool again = i > 0 && strcmp(name, demo_services[i - 1].name) == 0;
        if (!again) cyg_gw_text_printf(t, "%s  - name: %s\n    endpoints: [", i > 0 ? "]\n" : "", name);
        cyg_gw_text_printf(t, "%s\"%s\"", again ? ", " : "", demo_services[i].address);
    }
    /* Port 1 on loopback: a service that is down. */
    cyg_gw_text_puts(t, "]\n  - { name: gone, endpoints: [\"127.0.0.1:1\"] }\n");
    cyg_gw_text_printf(t, "  - { name: shout, endpoints: [\"%s\"] }\nadmin: { address: ", demo_shout_address);
    cyg_gw_text_json(t, cyg_str_of(admin));
    cyg_gw_text_puts(t, " }\naccess_log: { path: stdout }\ndrain: { timeout: 5s }\n");
}

static void banner(struct cyg_gw *gw) {
    static const struct {
        const char *arguments, *path, *about;
    } lines[] = {
        {"", "/hello", "two services take turns"},
        {"", "/slow?ms=300", "an answer that takes its time (beyond 5000: 504)"},
        {"-i ", "/failing", "a service that answers 500"},
        {"-i ", "/failing?how=drop", "a service that drops the connection: 502"},
        {"-d hi ", "/echo", "what a service sees of a request"},
        {"-o /dev/null ", "/big?mib=256", "a long body, streamed"},
        {"-i ", "/gone", "a service that is down: 503"},
        {"-i ", "/nowhere", "no route: 404"},
    };
    const char *web = cyg_gw_address(gw, 0), *admin = cyg_gw_admin_address(gw);
    printf("The gateway listens on http://%s with services behind it. Try:\n\n", web);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char url[256];
        snprintf(url, sizeof url, "curl -s %s'http://%s%s'", lines[i].arguments, web, lines[i].path);
        printf("  %-58s # %s\n", url, lines[i].about);
    }
    const char *tcp = cyg_gw_address(gw, 1), *udp = cyg_gw_address(gw, 2);
    int host = (int)strcspn(udp, ":");
    printf("\nIt passes TCP connections on at %s, and datagrams at %s:\n\n", tcp, udp);
    printf("  curl -s http://%s/\n", tcp);
    printf("  bash -c 'exec 3<>/dev/udp/%.*s/%s; echo hello >&3; head -n 1 <&3'\n", host, udp, udp + host + 1);
    printf("\nIts admin pages are on http://%s:\n\n", admin);
    printf("  curl -s http://%s/metrics\n  curl -s http://%s/config\n  curl -s http://%s/debug/goroutines\n\n", admin,
           admin, admin);
    printf("Each request, connection and session is a line of the access log below. Ctrl-C ends it all.\n\n");
    fflush(stdout);
}

static int run(struct cyg_gw_text *t) {
    struct cyg_gw_config *config;
    struct cyg_gw_problems problems = {0};
    int err = t->failed ? CYG_ENOMEM : cyg_gw_config_parse("demo", t->p, t->n, &config, &problems);
    for (size_t i = 0; i < problems.n; i++) fprintf(stderr, "%s\n", problems.items[i].text);
    cyg_gw_problems_free(&problems);
    if (err < 0) return cyg_fail("cygnet demo", err) < 0;
    struct cyg_gw *gw;
    if (cyg_gw_start(config, NULL, &gw) < 0) return 1;
    banner(gw);
    int status = cyg_gw_run(gw);
    cyg_gw_free(gw);
    return status;
}

/* argv: the two addresses. */
static int demo(int argc, char **argv) {
    (void)argc;
    int status = try_address(argv[0], "--listen");
    if (status == 0) status = try_address(argv[1], "--admin");
    if (status != 0) return status;
    if (same_address(argv[0], argv[1])) {
        fprintf(stderr,
                "cygnet demo: --listen and --admin are both %s; choose another address with --admin 127.0.0.1:PORT\n",
                argv[1]);
        return 2;
    }
    int err = demo_services_start();
    if (err < 0) return cyg_fail("cygnet demo", err) < 0;
    struct cyg_gw_text t = {0};
    write_config(&t, argv[0], argv[1]);
    status = run(&t);
    cyg_gw_text_free(&t);
    demo_services_stop();
    return status;
}

int cmd_demo(int argc, char **argv) {
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"admin", required_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    char listen[] = "127.0.0.1:8080", admin[] = "127.0.0.1:9901";
    char *addresses[2] = {listen, admin};
    optind = 1;
    for (int o; (o = getopt_long(argc, argv, "l:a:h", options, NULL)) != -1;) {
        switch (o) {
        case 'l': addresses[0] = optarg; break;
        case 'a': addresses[1] = optarg; break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    return cyg_main(demo, 2, addresses);
}
