"""The terminal chat, one part a file: words, conversation, turn, slash commands, drawing of answers, the input line."""
