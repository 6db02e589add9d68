"""Settings, errors, run folders, plug-ins, the machine: what every room leans on. Knows nothing of language."""
