/* test_machine.c: every check of the machine, on files of a real one and with single files changed: verdict, numbers and fix. */
#include "rig.h"

struct row {
    const char *check;
    struct {
        const char *path, *text; /* text NULL: not there */
    } files[3];
    enum doc_verdict verdict;
    const char *value, *cost, *fix; /* parts of these; NULL: not asked */
};

static const struct row rows[] = {
    /* ports */
    {"ip_local_port_range",
     {{0}},
     DOC_NOTE,
     "32768 to 60999: 28,232 ports",
     "28,232 ports / 60 s in TIME_WAIT = 470 new connections/s",
     "sysctl -w net.ipv4.ip_local_port_range=\"10240 65535\""},
    {"ip_local_port_range", {{IPV4 "ip_local_port_range", "10240\t65535\n"}}, DOC_OK, "55,296 ports", "921 new connections/s", ""},
    {"ip_local_port_range",
     {{IPV4 "ip_local_port_range", "60000 60999\n"}, {IPV4 "ip_local_reserved_ports", "60000-60899\n"}},
     DOC_BAD,
     "100 ports",
     "= 1 new",
     "10240"},
    {"ip_local_port_range", {{IPV4 "ip_local_port_range", NULL}}, DOC_UNKNOWN, "cannot be read", "ip_local_port_range", ""},
    {"tcp_tw_reuse", {{0}}, DOC_NOTE, "2 (on loopback only)", "To other machines: 470 new connections/s", "sysctl -w net.ipv4.tcp_tw_reuse=1"},
    {"tcp_tw_reuse", {{IPV4 "tcp_tw_reuse", "0\n"}}, DOC_NOTE, "0 (never)", "To anywhere: 470", "=1"},
    {"tcp_tw_reuse", {{IPV4 "tcp_tw_reuse", "1\n"}}, DOC_OK, "1 (everywhere)", "after 1000 ms: 28,232 new connections/s", ""},
    {"tcp_tw_reuse",
     {{IPV4 "tcp_tw_reuse", "1\n"}, {IPV4 "tcp_timestamps", "0\n"}},
     DOC_NOTE,
     NULL,
     "Without tcp_timestamps it has no effect",
     ""},
    {"tcp_timestamps", {{0}}, DOC_OK, "1", NULL, ""},
    {"tcp_timestamps", {{IPV4 "tcp_timestamps", "0\n"}}, DOC_BAD, "0", "43 s", "sysctl -w net.ipv4.tcp_timestamps=1"},
    {"tcp_fin_timeout", {{0}}, DOC_OK, "60 s", "60,000 sockets", ""},
    {"tcp_fin_timeout", {{IPV4 "tcp_fin_timeout", "120\n"}}, DOC_NOTE, "120 s", "120,000 sockets", "=60"},
    {"tcp_fin_timeout", {{IPV4 "tcp_fin_timeout", "600\n"}}, DOC_BAD, NULL, NULL, "=60"},
    {"tcp_max_tw_buckets", {{0}}, DOC_OK, "of 131,072 in use", "Room for 2,184 closes/s", ""},
    {"tcp_max_tw_buckets",
     {{IPV4 "tcp_max_tw_buckets", "4096\n"}, {"/proc/net/sockstat", "TCP: inuse 9 orphan 0 tw 3900 alloc 9 mem 1\n"}},
     DOC_NOTE,
     "3,900 of 4,096",
     NULL,
     "=8192"},
    {"tcp_max_tw_buckets",
     {{IPV4 "tcp_max_tw_buckets", "4096\n"}, {"/proc/net/sockstat", "TCP: inuse 9 orphan 0 tw 4096 alloc 9 mem 1\n"}},
     DOC_BAD,
     NULL,
     NULL,
     "=8192"},
    {"tcp_max_tw_buckets", {{NETSTAT, "TcpExt: TW TCPTimeWaitOverflow\nTcpExt: 5 17\n"}}, DOC_NOTE, NULL, "happened 17 times", "=262144"},
    /* accepting */
    {"somaxconn", {{0}}, DOC_OK, "4,096", "full after 410 ms", ""},
    {"somaxconn", {{"/proc/sys/net/core/somaxconn", "128\n"}}, DOC_BAD, "128", "holds 128 connections", "sysctl -w net.core.somaxconn=4096"},
    {"somaxconn", {{"/proc/sys/net/core/somaxconn", "2048\n"}}, DOC_NOTE, "2,048", NULL, "=4096"},
    {"tcp_max_syn_backlog", {{0}}, DOC_OK, "2,048", "20,480 new connections/s can be half open; beyond, SYN cookies", ""},
    {"tcp_max_syn_backlog",
     {{IPV4 "tcp_max_syn_backlog", "128\n"}, {IPV4 "tcp_syncookies", "0\n"}},
     DOC_NOTE,
     "128",
     "new clients are dropped",
     "=4096"},
    {"tcp_syncookies", {{0}}, DOC_OK, "1 (when", NULL, ""},
    {"tcp_syncookies", {{IPV4 "tcp_syncookies", "0\n"}}, DOC_BAD, "0 (off)", "2,048 SYNs", "=1"},
    {"tcp_syncookies", {{IPV4 "tcp_syncookies", "2\n"}}, DOC_NOTE, "2 (always)", NULL, "=1"},
    {"listen_overflows", {{0}}, DOC_OK, "0 overflows, 0 drops", NULL, ""},
    {"listen_overflows",
     {{NETSTAT, "TcpExt: A ListenOverflows ListenDrops\nTcpExt: 9 12 13\nIpExt: ListenDrops\nIpExt: 99\n"}},
     DOC_NOTE,
     "12 overflows, 13 drops",
     NULL,
     "ss -ltn"},
    {"listen_overflows", {{NETSTAT, "TcpExt: A B\nTcpExt: 9 12\n"}}, DOC_UNKNOWN, NULL, NETSTAT, ""},
    {"listen_overflows", {{NETSTAT, "TcpExt: A ListenOverflows\nTcpExt: 9\n"}}, DOC_UNKNOWN, NULL, NULL, ""},
    {"tcp_abort_on_overflow", {{0}}, DOC_OK, "0", NULL, ""},
    {"tcp_abort_on_overflow", {{IPV4 "tcp_abort_on_overflow", "1\n"}}, DOC_NOTE, "1", "reset", "=0"},
    /* a process */
    {"file_max", {{0}}, DOC_OK, "of 2,466,165 in use", NULL, ""},
    {"file_max", {{"/proc/sys/fs/file-nr", "80000 0 100000\n"}}, DOC_NOTE, "80,000 of 100,000", NULL, "fs.file-max"},
    {"file_max", {{"/proc/sys/fs/file-nr", "95000 0 100000\n"}}, DOC_BAD, NULL, NULL, "fs.file-max"},
    {"max_map_count", {{0}}, DOC_OK, "65,530", "take no mappings", ""},
    {"max_map_count", {{"/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"}}, DOC_OK, "65,530", "25,000 goroutines are guarded", ""},
    {"max_map_count",
     {{"/proc/sys/kernel/osrelease", "6.12.9\n"}, {"/proc/sys/vm/max_map_count", "20000\n"}},
     DOC_NOTE,
     "20,000",
     "10,000 goroutines",
     "vm.max_map_count=262144"},
    {"threads_max", {{0}}, DOC_OK, "192,729 of the machine, 32,768 numbers, 96,364 of this user", NULL, ""},
    {"threads_max", {{"/proc/sys/kernel/pid_max", "2000\n"}}, DOC_NOTE, "2,000 numbers", NULL, "kernel.pid_max=32768"},
    {"threads_max", {{"/proc/sys/kernel/threads-max", "900\n"}}, DOC_BAD, NULL, NULL, "kernel.threads-max=32768"},
    {"pipe_user_pages_soft", {{0}}, DOC_NOTE, "16,384 pages", "relays between sockets: 64 for all", "fs.pipe-user-pages-soft=262144"},
    {"pipe_user_pages_soft", {{"/proc/sys/fs/pipe-user-pages-soft", "0\n"}}, DOC_OK, "no limit", "pipes of 1 MiB", ""},
    {"pipe_user_pages_soft",
     {{"/proc/sys/fs/pipe-user-pages-soft", "0\n"}, {"/proc/sys/fs/pipe-max-size", "65536\n"}},
     DOC_NOTE,
     NULL,
     "no more than 64 KiB",
     "fs.pipe-max-size=1048576"},
    /* TCP */
    {"tcp_slow_start_after_idle", {{0}}, DOC_NOTE, "1", "takes 7 round trips", "=0"},
    {"tcp_slow_start_after_idle", {{IPV4 "tcp_slow_start_after_idle", "0\n"}}, DOC_OK, "0", NULL, ""},
    {"tcp_congestion_control", {{0}}, DOC_OK, "bbr (of ", NULL, ""},
    {"tcp_congestion_control", {{IPV4 "tcp_congestion_control", "reno\n"}}, DOC_NOTE, "reno", NULL, "=cubic"},
    {"tcp_rmem", {{0}}, DOC_OK, "4 KiB, 128 KiB, 32 MiB at most", "at most 320 MiB/s", ""},
    {"tcp_rmem",
     {{IPV4 "tcp_rmem", "4096 87380 1048576\n"}},
     DOC_NOTE,
     "1 MiB at most",
     "at most 10 MiB/s",
     "net.ipv4.tcp_rmem=\"4096 131072 6291456\""},
    {"tcp_wmem", {{0}}, DOC_OK, "4 KiB, 16 KiB, 4 MiB at most", NULL, ""},
    {"tcp_wmem", {{IPV4 "tcp_wmem", "4096 16384 1048576\n"}}, DOC_NOTE, NULL, NULL, "net.ipv4.tcp_wmem"},
    {"tcp_wmem", {{IPV4 "tcp_wmem", "4096\n"}}, DOC_UNKNOWN, NULL, NULL, ""},
    {"tcp_mem", {{0}}, DOC_OK, "saves from 1.5 GiB, at most 2.2 GiB", NULL, ""},
    {"tcp_mem",
     {{IPV4 "tcp_mem", "100 200 300\n"}, {"/proc/net/sockstat", "TCP: inuse 9 orphan 0 tw 0 alloc 9 mem 160\n"}},
     DOC_NOTE,
     NULL,
     NULL,
     "ss -tm"},
    {"tcp_mem",
     {{IPV4 "tcp_mem", "100 200 300\n"}, {"/proc/net/sockstat", "TCP: inuse 9 orphan 0 tw 0 alloc 9 mem 200\n"}},
     DOC_BAD,
     NULL,
     NULL,
     "ss -tm"},
    {"tcp_max_orphans", {{0}}, DOC_OK, "0 of 131,072", NULL, ""},
    {"tcp_max_orphans", {{"/proc/net/sockstat", "TCP: inuse 9 orphan 70000 tw 0 alloc 9 mem 1\n"}}, DOC_NOTE, "70,000 of", NULL, "=262144"},
    {"tcp_max_orphans", {{"/proc/net/sockstat", "TCP: inuse 9 orphan 131000 tw 0 alloc 9 mem 1\n"}}, DOC_BAD, NULL, NULL, "=262144"},
    {"tcp_drops", {{0}}, DOC_OK, "0 segments", NULL, ""},
    {"tcp_drops",
     {{NETSTAT, "TcpExt: TCPBacklogDrop TCPRcvQDrop\nTcpExt: 3 4\n"}},
     DOC_NOTE,
     "7 segments",
     "TCPBacklogDrop 3. TCPRcvQDrop 4.",
     "ss -tm"},
    {"tcp_retransmits", {{0}}, DOC_OK, "0.000 % of", NULL, ""},
    {"tcp_retransmits",
     {{"/proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1000 20\n"}},
     DOC_NOTE,
     "2.000 % of 1,000 segments",
     NULL,
     "ss -ti"},
    {"tcp_retransmits", {{"/proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1000 60\n"}}, DOC_BAD, NULL, NULL, "ss -ti"},
    {"nf_conntrack_max", {{0}}, DOC_OK, "0 of 262,144", "120 s after its end: 2,184 new connections/s", ""},
    {"nf_conntrack_max", {{"/proc/sys/net/netfilter/nf_conntrack_max", NULL}}, DOC_OK, "not loaded", NULL, ""},
    {"nf_conntrack_max", {{"/proc/sys/net/netfilter/nf_conntrack_count", "210000\n"}}, DOC_NOTE, "210,000 of", NULL, "nf_conntrack_max=1048576"},
    {"nf_conntrack_max", {{"/proc/sys/net/netfilter/nf_conntrack_count", "262144\n"}}, DOC_BAD, NULL, NULL, "1048576"},
    {"nf_conntrack_max",
     {{"/proc/sys/net/netfilter/nf_conntrack_max", "65536\n"}, {"/proc/sys/net/netfilter/nf_conntrack_count", "10\n"}},
     DOC_NOTE,
     NULL,
     "546 new",
     "1048576"},
    {"softnet", {{0}}, DOC_OK, "0 dropped, 9 times", "1,000 waiting", ""},
    {"softnet",
     {{"/proc/net/softnet_stat", "0396ab35 0000000a 00000005 0\n03ac0dd9 00000001 00000002 0\n"}},
     DOC_NOTE,
     "11 dropped, 7 times",
     NULL,
     "netdev_max_backlog=2000"},
    /* cgroup, version 2 */
    {"cgroup_memory", {{0}}, DOC_OK, "no limit", NULL, ""},
    {"cgroup_memory", {{CGROUP "memory.max", "1073741824\n"}}, DOC_OK, "70 MiB of 1 GiB", "happened 0 times", ""},
    {"cgroup_memory", {{CGROUP "memory.max", "83886080\n"}}, DOC_NOTE, "70 MiB of 80 MiB", NULL, "MemoryMax="},
    {"cgroup_memory", {{CGROUP "memory.max", "73400320\n"}}, DOC_BAD, NULL, NULL, NULL},
    {"cgroup_memory",
     {{CGROUP "memory.max", "1073741824\n"}, {CGROUP "memory.events", "oom 1\noom_kill 2\n"}},
     DOC_NOTE,
     NULL,
     "happened 2 times",
     NULL},
    {"cgroup_cpu", {{0}}, DOC_OK, "no quota", NULL, ""},
    {"cgroup_cpu", {{CGROUP "cpu.max", "150000 100000\n"}}, DOC_OK, "1.50 CPUs, throttled in 0.0 %", "up to 100 ms", ""},
    {"cgroup_cpu",
     {{CGROUP "cpu.max", "150000 100000\n"}, {CGROUP "cpu.stat", "usage_usec 5\nnr_periods 1000\nnr_throttled 50\n"}},
     DOC_NOTE,
     "5.0 %",
     NULL,
     "CYGNET_MAXPROCS=2"},
    {"cgroup_cpu",
     {{CGROUP "cpu.max", "50000 100000\n"}, {CGROUP "cpu.stat", "nr_periods 1000\nnr_throttled 500\n"}},
     DOC_BAD,
     "0.50 CPUs, throttled in 50.0 %",
     NULL,
     "CYGNET_MAXPROCS=1"},
    {"cgroup_pids", {{0}}, DOC_OK, "no limit", NULL, ""},
    {"cgroup_pids", {{CGROUP "pids.max", "4096\n"}}, DOC_OK, "12 of 4,096", NULL, ""},
    {"cgroup_pids", {{CGROUP "pids.max", "100\n"}}, DOC_NOTE, "12 of 100", NULL, "TasksMax="},
    {"cgroup_pids", {{CGROUP "pids.max", "100\n"}, {CGROUP "pids.current", "99\n"}}, DOC_BAD, NULL, NULL, "TasksMax="},
    /* cgroup, version 2, as seen in a container: the path is not there */
    {"cgroup_cpu",
     {{"/proc/self/cgroup", "0::/../../elsewhere\n"},
      {"/sys/fs/cgroup/cgroup.procs", "1\n"},
      {"/sys/fs/cgroup/cpu.max", "300000 100000\n"}},
     DOC_OK,
     "3.00 CPUs",
     NULL,
     ""},
    /* cgroup, version 1 */
    {"cgroup_memory",
     {{"/proc/self/cgroup", "4:memory:/box\n1:cpu,cpuacct:/\n0::/\n"},
      {"/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n"},
      {"/sys/fs/cgroup/memory/box/cgroup.procs", "1\n"}},
     DOC_OK,
     "no limit",
     NULL,
     ""},
    {"cgroup_memory",
     {{"/proc/self/cgroup", "4:memory:/box\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n"},
      {"/sys/fs/cgroup/memory/memory.usage_in_bytes", "99614720\n"}},
     DOC_BAD,
     "95 MiB of 100 MiB",
     NULL,
     NULL},
    {"cgroup_cpu",
     {{"/proc/self/cgroup", "1:cpu,cpuacct:/\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}},
     DOC_OK,
     "2.00 CPUs",
     NULL,
     ""},
    {"cgroup_cpu",
     {{"/proc/self/cgroup", "1:cpu:/\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
     DOC_OK,
     "no quota",
     NULL,
     ""},
    /* the machine */
    {"pressure_cpu", {{"/proc/pressure/cpu", "some avg10=12.50 avg60=9.00 avg300=1.00 total=1\n"}}, DOC_OK, "12.5 % of", NULL, ""},
    {"pressure_cpu", {{"/proc/pressure/cpu", "some avg10=55.00 avg60=9.00 avg300=1.00 total=1\n"}}, DOC_NOTE, NULL, NULL, "top -H"},
    {"pressure_cpu", {{"/proc/pressure/cpu", "some avg10=85.00 avg60=9.00 avg300=1.00 total=1\n"}}, DOC_BAD, NULL, NULL, "top -H"},
    {"pressure_cpu", {{"/proc/pressure/cpu", NULL}}, DOC_OK, "not measured", NULL, ""},
    {"pressure_memory", {{0}}, DOC_OK, "0.0 %", NULL, ""},
    {"pressure_memory",
     {{"/proc/pressure/memory", "some avg10=5.00 avg60=9.00 avg300=1.00 total=1\nfull avg10=99.00\n"}},
     DOC_NOTE,
     "5.0 %",
     NULL,
     NULL},
    {"pressure_memory", {{"/proc/pressure/memory", "some avg10=15.00 avg60=9.00 avg300=1.00 total=1\n"}}, DOC_BAD, NULL, NULL, NULL},
    {"pressure_io", {{"/proc/pressure/io", "some avg10=70.00 avg60=9.00 avg300=1.00 total=1\n"}}, DOC_BAD, NULL, NULL, "pidstat"},
    {"swap", {{0}}, DOC_OK, "none", NULL, ""},
    {"swap", {{"/proc/meminfo", "MemTotal: 100 kB\nSwapTotal: 1048576 kB\nSwapFree: 1048576 kB\n"}}, DOC_OK, "0 B of 1 GiB", NULL, ""},
    {"swap",
     {{"/proc/meminfo", "MemTotal: 100 kB\nSwapTotal: 1048576 kB\nSwapFree: 524288 kB\n"}},
     DOC_NOTE,
     "512 MiB of 1 GiB",
     NULL,
     NULL},
    {"clocksource", {{0}}, DOC_OK, "tsc", "without a system call", ""},
    {"clocksource", {{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"}}, DOC_BAD, "hpet", NULL, "echo tsc"},
    {"clocksource",
     {{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n"},
      {"/sys/devices/system/clocksource/clocksource0/available_clocksource", "acpi_pm\n"}},
     DOC_BAD,
     NULL,
     NULL,
     "dmesg"},
    {"transparent_hugepage", {{0}}, DOC_OK, "madvise", NULL, ""},
    {"transparent_hugepage",
     {{"/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"}},
     DOC_NOTE,
     "always",
     NULL,
     "echo madvise"},
    {"transparent_hugepage", {{"/sys/kernel/mm/transparent_hugepage/enabled", NULL}}, DOC_OK, "not in this kernel", NULL, ""},
    {"overcommit_memory", {{0}}, DOC_OK, "0 (by judgement)", NULL, ""},
    {"overcommit_memory",
     {{"/proc/sys/vm/overcommit_memory", "2\n"}},
     DOC_NOTE,
     "2 (never)",
     "48,210 goroutines at most",
     "vm.overcommit_memory=0"},
    {"kernel_features", {{0}}, DOC_OK, "Linux 6.18.44, 4 of 4", NULL, ""},
    {"kernel_features",
     {{"/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"}},
     DOC_NOTE,
     "3 of 4",
     "Without MADV_GUARD_INSTALL: guard pages",
     NULL},
    {"kernel_features", {{"/proc/sys/kernel/osrelease", "5.4.0\n"}}, DOC_NOTE, "2 of 4", "Without epoll_pwait2: timers", NULL},
};

static void judge(const struct row *r) {
    struct doc_machine *m = malloc(sizeof *m);
    machine_make();
    for (size_t k = 0; k < 3 && r->files[k].path; k++) machine_put(r->files[k].path, r->files[k].text);
    machine_open(m);
    struct doc_finding f = ask(m, r->check);
    check_verdict(&f, r->verdict);
    check_says(&f, "value", f.value, r->value);
    check_says(&f, "cost", f.cost, r->cost);
    check_says(&f, "fix", f.fix, r->fix);
    if (r->fix && !r->fix[0]) assert_string_equal(f.fix, "");
    assert_true(f.value[0] && f.cost[0]);
    if (f.sysctl[0]) assert_true(f.from[0] && f.to[0] && strcmp(f.from, f.to) != 0);
    machine_remove();
    free(m);
}

static void test_checks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) judge(&rows[i]);
}

/* A check that nobody has seen at its worst is not tested. */
static void test_every_check_of_the_machine_is_in_the_table(void **state) {
    (void)state;
    for (size_t i = 0; i < doc_nchecks; i++) {
        enum doc_verdict worst = DOC_OK;
        unsigned n = 0;
        if (doc_checks[i]->of_gateway || doc_checks[i] == &doc_nofile) continue;
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (strcmp(rows[k].check, doc_checks[i]->name) != 0) continue;
            n++;
            if (rows[k].verdict > worst) worst = rows[k].verdict;
        }
        if (n < 2 && doc_checks[i] != &doc_pressure_io) fail_msg("%s has %u rows", doc_checks[i]->name, n);
        if (worst < DOC_NOTE) fail_msg("%s is never more than ok", doc_checks[i]->name);
    }
}

static void test_limits_of_the_process(void **state) {
    (void)state;
    struct doc_machine m;
    machine_make();
    machine_open(&m);
    struct doc_finding f = ask(&m, "nofile");
    check_verdict(&f, DOC_OK);
    m.nofile_soft = 1024;
    f = ask(&m, "nofile");
    check_verdict(&f, DOC_BAD);
    check_says(&f, "value", f.value, "1,024 soft, 1,048,576 hard");
    check_says(&f, "cost", f.cost, "512 clients at once");
    check_says(&f, "fix", f.fix, "ulimit -n 1048576");
    m.nofile_soft = m.nofile_hard = 20000;
    f = ask(&m, "nofile");
    check_verdict(&f, DOC_NOTE);
    check_says(&f, "fix", f.fix, "LimitNOFILE=1048576");
    m.procs_limit = 700;
    f = ask(&m, "threads_max");
    check_verdict(&f, DOC_BAD);
    check_says(&f, "fix", f.fix, "ulimit -u");
    m.uid = 0;
    f = ask(&m, "pipe_user_pages_soft");
    check_verdict(&f, DOC_OK);
    check_says(&f, "value", f.value, "do not bind root");
    machine_remove();
}

static void test_what_rises_while_we_watch_is_bad(void **state) {
    (void)state;
    struct doc_machine m;
    machine_make();
    machine_open(&m);
    machine_put(NETSTAT, "TcpExt: ListenOverflows ListenDrops SyncookiesSent\nTcpExt: 10 10 5\n");
    machine_put("/proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1000000 10\n");
    machine_put(CGROUP "cpu.max", "100000 100000\n");
    machine_put(CGROUP "cpu.stat", "nr_periods 100000\nnr_throttled 10\n");
    static struct doc_finding f[64];
    (void)doc_run(&m, NULL, 0, f);
    doc_machine_again(&m, 2);
    machine_put(NETSTAT, "TcpExt: ListenOverflows ListenDrops SyncookiesSent\nTcpExt: 16 16 25\n");
    machine_put("/proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 1001000 70\n");
    machine_put(CGROUP "cpu.stat", "nr_periods 100020\nnr_throttled 20\n");
    size_t n = doc_run(&m, NULL, 0, f);
    doc_rank(f, n);
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = f[i].check->name;
        if (strcmp(name, "listen_overflows") == 0) check_says(&f[i], "cost", f[i].cost, "Now: 3.0/s.");
        if (strcmp(name, "tcp_retransmits") == 0) check_says(&f[i], "cost", f[i].cost, "Now: 6.00 % of 500/s");
        if (strcmp(name, "cgroup_cpu") == 0) check_says(&f[i], "cost", f[i].cost, "Now: 50 % of the periods");
        if (strcmp(name, "tcp_syncookies") == 0) check_says(&f[i], "cost", f[i].cost, "Now: 10.0/s");
        bad += f[i].verdict == DOC_BAD;
        if (i) assert_true(f[i].verdict <= f[i - 1].verdict);
        if (i && f[i].verdict == f[i - 1].verdict) assert_true(f[i].now <= f[i - 1].now);
    }
    assert_int_equal(bad, 3);
    assert_string_equal(f[3].check->name, "tcp_syncookies"); /* of the notes, the one that hurts now */
    doc_machine_again(&m, 2);                                /* nothing happens: it was, and is not */
    struct doc_finding again = ask(&m, "listen_overflows");
    check_verdict(&again, DOC_NOTE);
    check_says(&again, "cost", again.cost, "None in the 2 s of watching.");
    machine_remove();
}

static struct doc_finding ask_about_pipes(struct doc_machine *m, unsigned shrunk, unsigned refused) {
    char text[160];
    snprintf(text, sizeof text, "cygnet_copy_pipes_shrunk_total %u\ncygnet_copy_pipes_refused_total %u\n", shrunk, refused);
    struct doc_gateway g = {.base = "http://127.0.0.1:9901", .metrics = text, .nmetrics = strlen(text)};
    m->gateway = &g;
    struct doc_finding f = ask(m, "pipe_user_pages_soft");
    m->gateway = NULL;
    return f;
}

/* Of whatever user it is: doctor as root looks at a gateway that is not. */
static void test_pipes_that_a_gateway_misses_now_are_bad(void **state) {
    (void)state;
    struct doc_machine m;
    machine_make();
    machine_open(&m);
    m.uid = 0;
    struct doc_finding f = ask_about_pipes(&m, 0, 0);
    check_verdict(&f, DOC_OK);
    check_says(&f, "cost", f.cost, "since its start 0 were smaller and 0 not to be had.");
    doc_machine_again(&m, 2);
    f = ask_about_pipes(&m, 1000, 6);
    check_verdict(&f, DOC_BAD);
    assert_true(f.now == 100);
    check_says(&f, "cost", f.cost, "1,000 were smaller and 6 not to be had. Now: 503.0/s.");
    check_says(&f, "fix", f.fix, "fs.pipe-user-pages-soft=262144");
    doc_machine_again(&m, 2);
    machine_put("/proc/sys/fs/pipe-user-pages-soft", "0\n");
    f = ask_about_pipes(&m, 1000, 6);
    check_verdict(&f, DOC_NOTE);
    check_says(&f, "fix", f.fix, "--admin http://127.0.0.1:9901 --only gateway_descriptors");
    assert_string_equal(f.sysctl, "");
    machine_put("/proc/sys/fs/pipe-max-size", "65536\n");
    f = ask_about_pipes(&m, 1000, 0);
    check_says(&f, "fix", f.fix, "fs.pipe-max-size=1048576");
    machine_remove();
}

static void test_it_fits_a_terminal(void **state) {
    (void)state;
    struct doc_machine m;
    static struct doc_finding f[64];
    char *text = NULL, *save;
    size_t len;
    machine_make();
    machine_put("/proc/sys/net/core/somaxconn", "128\n");
    machine_open(&m);
    size_t n = doc_run(&m, NULL, 0, f);
    doc_rank(f, n);
    for (int all = 0; all < 2; all++) {
        FILE *out = open_memstream(&text, &len);
        doc_print(out, &m, f, n, all);
        fclose(out);
        assert_non_null(strstr(text, "bad   somaxconn "));
        assert_non_null(strstr(text, "\n1 bad, 4 notes, "));
        assert_true((strstr(text, "\nok    clocksource ") != NULL) == (all == 1));
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            if (strncmp(line, "      fix: ", 11) != 0 && strlen(line) > 100)
                fail_msg("%zu columns: %s", strlen(line), line);
        free(text);
    }
    machine_remove();
}

static void test_numbers_for_people(void **state) {
    (void)state;
    char b[32];
    assert_string_equal(doc_commas(b, 0), "0");
    assert_string_equal(doc_commas(b, 999), "999");
    assert_string_equal(doc_commas(b, 1000), "1,000");
    assert_string_equal(doc_commas(b, 28232.9), "28,232");
    assert_string_equal(doc_commas(b, 1234567), "1,234,567");
    assert_string_equal(doc_commas(b, 1e300), "1,000,000,000,000,000");
    assert_string_equal(doc_bytes(b, 0), "0 B");
    assert_string_equal(doc_bytes(b, 1536), "1.5 KiB");
    assert_string_equal(doc_bytes(b, 33554432), "32 MiB");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_every_check_of_the_machine_is_in_the_table),
        cmocka_unit_test(test_limits_of_the_process),
        cmocka_unit_test(test_what_rises_while_we_watch_is_bad),
        cmocka_unit_test(test_pipes_that_a_gateway_misses_now_are_bad),
        cmocka_unit_test(test_it_fits_a_terminal),
        cmocka_unit_test(test_numbers_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
