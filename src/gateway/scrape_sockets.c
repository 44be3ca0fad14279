/* scrape_sockets.c: the sockets of the process and the ports left by destination as Prometheus text. Looking costs about 1.5 us
 * a socket of the network namespace, so a scrape takes the last look if that is young enough; the library keeps looks
 * below 1 % of a CPU besides. A request for /debug/sockets looks at once.
 */
#include "gateway/state.h"
#include "gateway/text.h"

#include <cygnet/netstat.h>
#include <cygnet/runtime.h>

#define LOOK_EVERY (10 * CYG_SECOND)
#define DESTINATIONS 8 /* shown: the busiest; a label for each destination ever would grow without bound */

static void family(struct cyg_gw_text *t, const char *name, const char *help) {
    cyg_gw_text_printf(t, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void by_state(struct cyg_gw_text *t, const char *name, const uint64_t *counts) {
    for (int i = 1; i < CYG_TCP_STATES; i++)
        cyg_gw_text_printf(t, "%s{state=\"%s\"} %llu\n", name, cyg_tcp_state_name(i), (unsigned long long)counts[i]);
}

static void write_ports(struct cyg_gw_text *t) {
    static const struct {
        const char *name, *help;
        size_t at;
    } rows[] = {
        {"cygnet_ports_used", "Ephemeral ports in use to a destination, TIME_WAIT included; the busiest destinations.",
         offsetof(cyg_ports, used)},
        {"cygnet_ports_time_wait", "Of these, in TIME_WAIT.", offsetof(cyg_ports, time_wait)},
        {"cygnet_ports_left", "Ephemeral ports that are left for a destination.", offsetof(cyg_ports, left)},
    };
    cyg_ports p[DESTINATIONS];
    char from[CYG_ADDR_STRLEN], to[CYG_ADDR_STRLEN];
    size_t n = cyg_ports_busiest(p, DESTINATIONS);
    for (size_t r = 0; n > 0 && r <= sizeof rows / sizeof *rows; r++) {
        bool end = r == sizeof rows / sizeof *rows;
        const char *name = end ? "cygnet_ports_exhausted_in_seconds" : rows[r].name;
        family(t, name,
               end ? "When none will be left if it goes on as in the last minutes; absent: no end in sight." : rows[r].help);
        for (size_t i = 0; i < n; i++) {
            if (end && !p[i].exhausted_in) continue;
            cyg_addr_format_ip(&p[i].from, from, sizeof from);
            cyg_addr_format(&p[i].to, to, sizeof to);
            cyg_gw_text_printf(t, "%s{source=\"%s\",destination=\"%s\"} ", name, from, to);
            if (end)
                cyg_gw_text_printf(t, "%.0f\n", (double)p[i].exhausted_in / 1e9);
            else
                cyg_gw_text_printf(t, "%llu\n", (unsigned long long)*(const uint64_t *)((const char *)&p[i] + rows[r].at));
        }
    }
}

static int look(void *out) { return cyg_netstat_look(&(cyg_netstat_opts){.max_age = LOOK_EVERY}, out); }

void cyg_gw_scrape_sockets(struct cyg_gw_text *t) {
    cyg_netstat st;
    if (cyg_blocking(look, &st) < 0)
        return; /* neither netlink nor /proc: no families, which is not the same as zeros */
    family(t, "cygnet_sockets", "TCP sockets of this process by state.");
    by_state(t, "cygnet_sockets", st.open);
    family(t, "cygnet_sockets_unheld", "TCP sockets of the network namespace that no process has open, by state.");
    by_state(t, "cygnet_sockets_unheld", st.unheld);
    family(t, "cygnet_sockets_longest_seconds", "How long the oldest has been in a state that only one side has ended.");
    cyg_gw_text_printf(t, "cygnet_sockets_longest_seconds{state=\"close_wait\"} %.3f\n",
                       (double)st.close_wait_longest / 1e9);
    cyg_gw_text_printf(t, "cygnet_sockets_longest_seconds{state=\"fin_wait2\"} %.3f\n", (double)st.fin_wait2_longest / 1e9);
    family(t, "cygnet_sockets_time_wait_per_second", "How fast sockets in TIME_WAIT become more, or fewer.");
    cyg_gw_text_printf(t, "cygnet_sockets_time_wait_per_second %.3f\n", st.time_wait_per_second);
    family(t, "cygnet_sockets_look_seconds", "How long the last look at the sockets took.");
    cyg_gw_text_printf(t, "cygnet_sockets_look_seconds %.6f\n", (double)st.took / 1e9);
    write_ports(t);
}
