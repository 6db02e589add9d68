"""Small additions to frozen weights: LoRA and its kin, in PEFT's format."""
