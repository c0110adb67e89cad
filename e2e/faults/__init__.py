"""Real processes under fault: clusters in network namespaces, recorded clients, and a checker of what they saw."""
