"""From rows to prompts: neighbours, row formats, instructions, the chat format, and the number of tokens."""
