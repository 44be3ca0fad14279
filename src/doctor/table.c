/* table.c: the checks, in the order in which they are told. */
#include "doctor/checks.h"

const struct doc_check *const doc_checks[] = {
    /* a running gateway */
    &doc_gateway_failures,
    &doc_gateway_descriptors,
    &doc_gateway_accept_pauses,
    &doc_gateway_close_wait,
    &doc_gateway_fin_wait2,
    &doc_gateway_ports,
    &doc_gateway_overflows,
    &doc_gateway_dial_errors,
    &doc_gateway_reuse,
    &doc_gateway_stale,
    &doc_gateway_blocking,
    &doc_gateway_threads,
    &doc_gateway_parked_long,
    &doc_gateway_log_dropped,
    &doc_gateway_reloads,
    /* ports */
    &doc_ip_local_port_range,
    &doc_tcp_tw_reuse,
    &doc_tcp_timestamps,
    &doc_tcp_fin_timeout,
    &doc_tcp_max_tw_buckets,
    /* accepting */
    &doc_somaxconn,
    &doc_tcp_max_syn_backlog,
    &doc_tcp_syncookies,
    &doc_listen_overflows,
    &doc_tcp_abort_on_overflow,
    /* limits of a process */
    &doc_nofile,
    &doc_file_max,
    &doc_max_map_count,
    &doc_threads_max,
    &doc_pipe_user_pages_soft,
    /* TCP */
    &doc_tcp_slow_start_after_idle,
    &doc_tcp_congestion_control,
    &doc_tcp_rmem,
    &doc_tcp_wmem,
    &doc_tcp_mem,
    &doc_tcp_max_orphans,
    &doc_tcp_drops,
    &doc_tcp_retransmits,
    &doc_nf_conntrack_max,
    &doc_softnet,
    /* what this process may use, and the machine */
    &doc_cgroup_memory,
    &doc_cgroup_cpu,
    &doc_cgroup_pids,
    &doc_pressure_cpu,
    &doc_pressure_memory,
    &doc_pressure_io,
    &doc_swap,
    &doc_clocksource,
    &doc_transparent_hugepage,
    &doc_overcommit_memory,
    &doc_kernel_features,
};
const size_t doc_nchecks = sizeof doc_checks / sizeof *doc_checks;
