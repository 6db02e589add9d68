"""One file per family of models. Each defines

Config            the family's settings, in our words
parts             what a model is made of: `Decoder(parts(config))` is its network
HF, GGUF          the names this family goes by: `model_type` in config.json, `general.architecture` in GGUF
from_hf, to_hf    config.json ↔ Config
from_gguf, to_gguf    GGUF metadata ↔ Config
names             what the tensors are called in either format
TINY              small configs that between them turn every switch, for the tests
"""
