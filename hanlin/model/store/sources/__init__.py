"""Where models come from: each kind of source is a file here, met by its prefix (`pypi:…`) or by how a name looks.

    SPELLING                                    how a name of this kind is written, for error messages
    fetch(request, staging) -> Iterator         yields Progress; returns Fetched: every file in `staging.model`, checked

A source asks its network only inside `fetch`, refuses before it downloads, and leaves nothing outside `staging`.
"""
