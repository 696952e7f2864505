"""What screens and plain text share: wording, agenda, sentences, prompts. Knows no textual."""
