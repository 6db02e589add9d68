"""Models: families, weights in and out, caches. One call for every decoder: `model(tokens, cache=None) -> logits`.

The letters of every shape in the house:

    B batch            T new positions      S visible positions (cached and new)
    D width            H heads              K key-value heads       E head width
    F MLP width        V vocabulary         X experts
"""
