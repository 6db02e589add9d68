"""HTTP: models of this machine behind the API that OpenAI's clients speak, and more. See docs/serve.md."""
