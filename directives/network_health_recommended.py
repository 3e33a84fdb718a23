"""A swarm that also watches containers and the protocols: every limit of protocol health is set.

docs/protocol-health.md says what each metric means and why each limit has its value.
"""

matrix_directive = {
    "universal_id": "matrix",
    "name": "matrix",
    "children": [
        {
            "universal_id": "forensic-1",
            "name": "forensic_detective",
            "config": {
                # Every node with this role receives the reports.
                "service-manager": [{"role": ["hive.forensics.data_feed"]}],
            },
        },
        {
            "universal_id": "net-health-1",
            "name": "network_health",
            "config": {
                "check_interval_sec": 30,
                "exclude_interfaces": ["lo"],
                "container_conn_threshold": 1000,
                "retransmit_threshold_percent": 2,
                "peer_retransmit_threshold_percent": 10,
                "listen_overflow_threshold_per_sec": 1,
                "listen_drop_threshold_per_sec": 1,
                "syn_queue_threshold_per_sec": 1,
                "udp_error_threshold_per_sec": 10,
                "softnet_threshold_per_sec": 10,
                "conntrack_threshold_percent": 75,
                "orphan_threshold_percent": 25,
                "tcp_memory_threshold_percent": 90,
                "ephemeral_port_threshold_percent": 80,
                "history": True,
            },
        },
    ],
}
