"""Settings, errors, run folders, plug-in lookup and the machine: what every room leans on. Knows nothing of language."""
