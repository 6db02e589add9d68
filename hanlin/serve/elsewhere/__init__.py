"""Models that are computed by another server, behind the same API: `hanlin serve --engine vllm`."""
