"""Files, folders, hashes, leases, JSON and strict YAML: nothing here knows what adapters are."""
