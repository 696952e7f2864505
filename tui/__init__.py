"""The screens: Textual, and nothing that decides."""
