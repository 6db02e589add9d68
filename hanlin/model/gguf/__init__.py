"""GGUF, the file format of llama.cpp: metadata and tensors, mapped from disk and written back.

numpy only; knows nothing of models, families or tokenizers.

    format.py        the tensor types and value types, by number and name
    header.py        the bytes before the tensors → metadata and where each tensor lies
    read.py          a file (or its split parts) → GGUFFile: raw blocks, or float32
    dequantise.py    blocks of any type we carry → float32 (blocks32.py, blocks256.py: the layouts)
    quantise.py      float32 → F32 F16 BF16 Q8_0 Q4_0
    write.py         metadata and tensors → a file, one tensor in memory at a time

Reference: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""
