"""What delivery adds to the language of templates."""
