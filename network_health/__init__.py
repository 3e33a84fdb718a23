"""network_health: what a host's network is doing, judged, at next to no cost."""
