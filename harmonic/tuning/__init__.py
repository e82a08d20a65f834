"""A language model learns from prompts (LoRA), and scores rows afterwards."""
