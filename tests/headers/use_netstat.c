/* netstat.h in use: a look, a report, ports to a destination. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/netstat.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    cyg_netstat st;
    cyg_netstat_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.max_age = CYG_MINUTE;
    if (cyg_netstat_look(NULL, &st) != 0) return 1;
    if (st.open[CYG_TCP_CLOSE_WAIT] != 0 || st.close_wait_longest != 0) return 2;
    if (cyg_netstat_look(&opts, &st) != 0) return 3;
    int fd = open("/dev/null", O_WRONLY);
    if (fd < 0 || cyg_netstat_report(fd) != 0) return 4;
    close(fd);
    cyg_addr to;
    cyg_ports ports, busiest[4];
    if (cyg_addr_parse("tcp", "127.0.0.1:9", &to) != 0 || cyg_ports_to(&to, &ports) != 0) return 5;
    if (ports.left > ports.range || cyg_ports_busiest(busiest, 4) > 4) return 6;
    return strcmp(cyg_tcp_state_name(CYG_TCP_TIME_WAIT), "time_wait") == 0 ? 0 : 7;
}
