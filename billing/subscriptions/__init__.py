"""Plans, subscriptions and their standing: what a customer has, what follows from it, and since and until when."""
