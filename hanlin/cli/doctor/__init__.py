"""What `hanlin doctor` looks at, one file a subject: facts of the machine, the network, what fits, how it is shown."""
