"""The studio: pages in the browser, drawn from the rooms' own settings and iterators; see `docs/studio.md`."""
