"""The choices: a group is a role, a file is a choice."""
