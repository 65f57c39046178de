"""Files, folders, hashes, leases and strict YAML: nothing here knows what adapters are."""
