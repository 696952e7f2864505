"""What a run leaves behind for people and machines: text, JSON, SARIF, JUnit, GitHub.

A document stands for itself: nobody need have been there, and nobody can be asked. Sentences for
somebody who is deciding or asking at the terminal are made in `presentation`.
"""
