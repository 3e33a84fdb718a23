"""A small swarm to try network_health: it checks every 3 s, and a detective stores its reports.

The limits are high enough that a usual machine is healthy.
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
                "check_interval_sec": 3,
                "exclude_interfaces": ["lo"],
                "tx_threshold_mbps": 1000,
                "rx_threshold_mbps": 1000,
                "conn_threshold": 5000,
                "history": True,
            },
        },
    ],
}
