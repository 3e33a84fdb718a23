"""The directive in the documentation of the NetworkHealthMonitor agent, unchanged.

Only the first letter of its name, which the documentation lost, was added. The detective declares no role, so
no node has the role of the receivers: network_health then sends its reports to the nodes that run
forensic_detective.
"""

# fmt: off
matrix_directive = {
    "universal_id": "matrix",
    "name": "matrix",
    "children": [
         {
            "universal_id": "forensic-alpha-1",
            "name": "forensic_detective"
            # This agent will receive the reports by default
        },
        {
            "universal_id": "net-health-1",
            "name": "network_health",
            "config": {
                "check_interval_sec": 60,
                "exclude_interfaces": ["lo"],
                "tx_threshold_mbps": 250,
                "rx_threshold_mbps": 500,
                "conn_threshold": 2000
            }
        }
    ]
}
