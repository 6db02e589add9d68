"""What the studio says, in English and Chinese: a file per page, a `Word` per thing said."""
