"""The verifier that customers run themselves: one file that needs nothing of ours."""
