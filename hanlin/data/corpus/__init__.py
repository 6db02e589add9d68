"""A corpus run: folders and archives in, clean shards for training out, and why each document that went had to go.

    source ─▶ Document ─▶ steps: tags and changes ─▶ parts/*.parquet      each document on its own, by many workers
    parts ─▶ clusters of duplicates ─▶ decision: a reason or a split       all documents together, by columns
    parts + decision ─▶ train/*.parquet, validation/…, test/…              shards that `hanlin train` reads

What is measured is kept, and what is dropped is decided afterwards from it: a bound can be moved without measuring
anything again.
"""
