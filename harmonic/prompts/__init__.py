"""From rows to prompts: neighbours, row formats, the instruction, the chat format, and what fits the context."""
